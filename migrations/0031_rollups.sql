-- What happened to the instances of a flow, each thing in the minute and the hour of its own instant, as differences that sum
-- up: the engine adds what it learns and takes back what turns out otherwise. Read with sum() and GROUP BY. Only the rows of the
-- generation that rollup_generations names count. Of a distribution (latency, step_latency, edge) each bin holds the durations
-- within 1 % of 1.0202^bin ns, bin -1 those of 0. Sorted for a flow's window.
CREATE TABLE IF NOT EXISTS {{.Database}}.rollups{{.OnCluster}}
(
    flow       LowCardinality(String),
    generation UInt64,
    span       UInt32 COMMENT 'seconds: 60 or 3600',
    start      DateTime64(0, 'UTC') CODEC(Delta, ZSTD(1)),
    measure    LowCardinality(String),
    step       LowCardinality(String) COMMENT 'of an edge, where it begins',
    to_step    LowCardinality(String) COMMENT 'of an edge, where it ends',
    bin        Int16 CODEC(ZSTD(1)),
    count      Int64 CODEC(ZSTD(1)),
    sum        Int128 COMMENT 'nanoseconds' CODEC(ZSTD(1))
)
ENGINE = {{engine "SummingMergeTree((count, sum))"}}
ORDER BY (flow, generation, span, start, measure, step, to_step, bin)
SETTINGS {{dedup}}
