-- Finds what came lately: rows stand by name and time, so that those of one hour are neighbours.
ALTER TABLE {{.Database}}.signals{{.OnCluster}}
    ADD INDEX IF NOT EXISTS idx_received received TYPE minmax GRANULARITY 1
