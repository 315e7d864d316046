-- With each version of a flow, what its file refers to in others: the calendars and planned downtime that count in its hash.
ALTER TABLE {{.Database}}.flow_versions{{.OnCluster}}
    ADD COLUMN IF NOT EXISTS referred String COMMENT 'calendars and downtime, as JSON' CODEC(ZSTD(1)) AFTER definition
