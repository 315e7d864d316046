-- Spans whose producer sends only some of its spans: that another one is missing proves nothing.
ALTER TABLE {{.Database}}.signals{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS sampled Bool COMMENT 'a span of a producer that samples' CODEC(ZSTD(1)) AFTER as_of
