-- Which rows of rollups count: those of one generation of a flow, made by one version of its file. They hold all instances
-- that keep no other version where they are whole.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_generations{{.OnCluster}}
(
    flow        String,
    generation  UInt64,
    version     String COMMENT 'of the flow file',
    whole       Bool,
    row_version UInt64
)
ENGINE = {{engine "ReplacingMergeTree(row_version)"}}
ORDER BY flow
