-- Finds the last word of a system that is silent, and that one was never heard: rows stand by name, and a name is of few systems.
ALTER TABLE {{.Database}}.signals{{.OnCluster}}
    ADD INDEX IF NOT EXISTS idx_system system TYPE set(64) GRANULARITY 4
