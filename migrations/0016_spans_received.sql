-- Finds what came lately: rows stand by service, name and time, so that those of one hour are neighbours.
ALTER TABLE {{.Database}}.spans{{.OnCluster}}
    ADD INDEX IF NOT EXISTS idx_received Received TYPE minmax GRANULARITY 1
