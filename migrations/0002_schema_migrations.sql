-- What was applied. Two processes that migrate at once record a name twice; that is one row after a merge.
CREATE TABLE IF NOT EXISTS {{.Database}}.schema_migrations{{.OnCluster}}
(
    name    String,
    applied DateTime('UTC') DEFAULT now()
)
ENGINE = {{engine "ReplacingMergeTree"}}
ORDER BY name
