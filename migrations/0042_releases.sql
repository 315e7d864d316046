-- When a service began to send spans as a version. The same may stand here again later, written by another process or after a
-- restart: what counts is where the version differs from the one before.
CREATE TABLE IF NOT EXISTS {{.Database}}.releases{{.OnCluster}}
(
    service     LowCardinality(String) COMMENT 'service.name',
    environment LowCardinality(String) COMMENT 'deployment.environment.name; empty for the default one',
    version     String COMMENT 'service.version',
    at          DateTime64(9, 'UTC') COMMENT 'start of the first span'
)
ENGINE = {{engine "ReplacingMergeTree"}}
ORDER BY (service, environment, at, version)
TTL toDateTime(at, 'UTC') + INTERVAL 400 DAY
SETTINGS {{dedup}}
