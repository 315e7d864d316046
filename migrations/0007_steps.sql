-- One row for each signal of an instance that is a step of it: what the fold needs to answer for any instant. Read with
-- FINAL, which leaves out the deleted. Sorted for the top queries, one instance and a flow in hindsight. Kept twice as
-- long as ended instances, so that it outlives an instance that was in flight for as long as those are kept.
CREATE TABLE IF NOT EXISTS {{.Database}}.steps{{.OnCluster}}
(
    flow        LowCardinality(String),
    key         String CODEC(ZSTD(1)),
    source      String COMMENT 'with id: the identity of the signal' CODEC(ZSTD(1)),
    id          String CODEC(ZSTD(1)),
    step        LowCardinality(String),
    time        DateTime64(9, 'UTC') COMMENT 'when the step occurred: end of a span' CODEC(Delta, ZSTD(1)),
    start_time  DateTime64(9, 'UTC') COMMENT 'start of a span; else time' CODEC(Delta, ZSTD(1)),
    outcome     Enum8('ok' = 0, 'error' = 1),
    sequence    String CODEC(ZSTD(1)),
    system      LowCardinality(String),
    as_of       DateTime64(9, 'UTC') COMMENT 'clock of the import; 1970-01-01 for a live signal' CODEC(Delta, ZSTD(1)),
    hash        UInt64 COMMENT 'of the content: which of two copies counts',
    amount      Nullable(String),
    currency    LowCardinality(String),
    segments    Map(LowCardinality(String), String),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    deleted     UInt8 COMMENT 'no longer a signal of this instance',
    written     DateTime('UTC') DEFAULT now() CODEC(Delta, ZSTD(1))
)
ENGINE = {{engine "ReplacingMergeTree(row_version, deleted)"}}
ORDER BY (flow, key, source, id, step)
TTL written + INTERVAL 800 DAY
