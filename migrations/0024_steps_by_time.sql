-- The rows of steps again, by the hour in which they start: what is asked of a past instant lies together, where steps has it all
-- over. start_time only ever gets earlier (of copies that differ the earliest counts), so that up to an hour the latest row of a
-- signal is found with those it replaces. deleted rows stay, since they may replace a row of another hour: whoever reads takes
-- the latest by (key, source, id, step).
CREATE TABLE IF NOT EXISTS {{.Database}}.steps_by_time{{.OnCluster}}
(
    flow        LowCardinality(String),
    hour        Int32 COMMENT 'of start_time, since 1970' CODEC(Delta, ZSTD(1)),
    key         String CODEC(ZSTD(1)),
    source      String CODEC(ZSTD(1)),
    id          String CODEC(ZSTD(1)),
    step        LowCardinality(String),
    time        DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    start_time  DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    outcome     Enum8('ok' = 0, 'error' = 1),
    sequence    String CODEC(ZSTD(1)),
    system      LowCardinality(String),
    as_of       DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    hash        UInt64,
    sampled     Bool,
    amount      Nullable(String),
    currency    LowCardinality(String),
    segments    Map(LowCardinality(String), String),
    child       String CODEC(ZSTD(1)),
    expect      Map(LowCardinality(String), String),
    row_version UInt64 CODEC(Delta, ZSTD(1)),
    deleted     UInt8,
    written     DateTime('UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = {{engine "ReplacingMergeTree(row_version)"}}
ORDER BY (flow, hour, key, source, id, step)
TTL written + INTERVAL 800 DAY
