-- When an instance began, for lists by time, and how long its path took. NULL and 0 in rows from before.
ALTER TABLE {{.Database}}.instances{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS first_at Nullable(DateTime64(9, 'UTC')) COMMENT 'start of its first signal, of a hold too' AFTER last_at,
    ADD COLUMN IF NOT EXISTS path_for Int64 COMMENT 'nanoseconds from the first to the last of path' AFTER path
