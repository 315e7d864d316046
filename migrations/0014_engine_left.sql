-- By which keys and traces, as hashes, the components are found that left the engine's memory. Sorted for that search.
CREATE TABLE IF NOT EXISTS {{.Database}}.engine_left{{.OnCluster}}
(
    hash    UInt64,
    id      UInt64 COMMENT 'in engine_state, kind evicted',
    written DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = {{engine "ReplacingMergeTree"}}
ORDER BY (hash, id)
TTL written + INTERVAL 400 DAY
