-- What the engine restarts from: components of its state (kind component), those that left memory (evicted), the names
-- (name, by number) and the frame (0 key of the hashes, 1 definitions) by which they are read. Written by the engine and read by
-- it alone; nothing here is needed that could not be made from the signals. Sorted for the restart, and one component that returns.
CREATE TABLE IF NOT EXISTS {{.Database}}.engine_state{{.OnCluster}}
(
    kind        LowCardinality(String),
    id          UInt64,
    text        String CODEC(ZSTD(1)),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    deleted     UInt8,
    written     DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = {{engine "ReplacingMergeTree(row_version, deleted)"}}
ORDER BY (kind, id)
TTL written + INTERVAL 400 DAY DELETE WHERE kind = 'evicted'
