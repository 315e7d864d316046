-- What holds an instance, and of each step that is due how many children are expected (0 in rows from before: one) and
-- were seen.
ALTER TABLE {{.Database}}.instances{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS waiting_on.expected Array(UInt32) AFTER waiting_on.deadline,
    ADD COLUMN IF NOT EXISTS waiting_on.seen Array(UInt32) AFTER waiting_on.expected,
    ADD COLUMN IF NOT EXISTS hold LowCardinality(String) COMMENT 'id of the hold, or downtime' AFTER imported,
    ADD COLUMN IF NOT EXISTS held_since Nullable(DateTime64(9, 'UTC')) AFTER hold,
    ADD COLUMN IF NOT EXISTS held_until Nullable(DateTime64(9, 'UTC')) COMMENT 'NULL where no end is known' AFTER held_since,
    ADD COLUMN IF NOT EXISTS reopened Bool COMMENT 'had ended, and then more was expected' AFTER held_until
