-- Single durations of the roll-ups, by the minute, for percentiles of what is rare: differences that sum up, like rollups, which
-- say the same in bins. took is -1 where those of a minute were too many to be told. Sorted for one distribution of a flow.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollup_values{{.OnCluster}}
(
    flow       LowCardinality(String),
    generation UInt64,
    measure    LowCardinality(String),
    step       LowCardinality(String) COMMENT 'of an edge, where it begins',
    to_step    LowCardinality(String) COMMENT 'of an edge, where it ends',
    start      DateTime64(0, 'UTC') COMMENT 'of the minute' CODEC(Delta, ZSTD(1)),
    took       Int64 COMMENT 'nanoseconds' CODEC(ZSTD(1)),
    count      Int64 CODEC(ZSTD(1))
)
ENGINE = {{engine "SummingMergeTree(count)"}}
ORDER BY (flow, generation, measure, step, to_step, start, took)
SETTINGS {{dedup}}
