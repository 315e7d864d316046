-- Signals of which a key was erased: what they said is gone, and their keys are those that they are stored with.
ALTER TABLE {{.Database}}.signals{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS erased Bool CODEC(ZSTD(1)) AFTER sampled
