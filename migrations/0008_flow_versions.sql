-- Every flow file that ever ran; the current one of a flow is the last loaded.
CREATE TABLE IF NOT EXISTS {{.Database}}.flow_versions{{.OnCluster}}
(
    flow       LowCardinality(String),
    version    String COMMENT 'hash of the file',
    definition String COMMENT 'the file' CODEC(ZSTD(1)),
    loaded     DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = {{engine "ReplacingMergeTree(loaded)"}}
ORDER BY (flow, version)
