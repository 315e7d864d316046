-- What the fold needs of it.
ALTER TABLE {{.Database}}.steps{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS sampled Bool COMMENT 'of a producer that samples' CODEC(ZSTD(1)) AFTER hash
