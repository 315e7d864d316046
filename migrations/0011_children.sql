-- What a step with children needs of each signal, so that it can be folded for any instant.
ALTER TABLE {{.Database}}.steps{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS child String COMMENT 'which of several it is' CODEC(ZSTD(1)) AFTER segments,
    ADD COLUMN IF NOT EXISTS expect Map(LowCardinality(String), String) COMMENT 'how many are due, by attribute' AFTER child
