-- Every event, and the spans that a flow can use. Sorted for restores and backfills, which read whole names; the
-- timeline of a key is found by its index: has(keys, 'order_id:4711'). A copy is a second row: (source, id) for events,
-- (trace_id, span_id) for spans tell. One with a key may be part of an instance and lives as long as those do.
CREATE TABLE IF NOT EXISTS {{.Database}}.signals{{.OnCluster}}
(
    received    DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    time        DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'of an event; start of a span',
    duration    Int64 CODEC(ZSTD(1)) COMMENT 'nanoseconds',
    kind        Enum8('event' = 0, 'span' = 1),
    name        LowCardinality(String),
    source      LowCardinality(String),
    id          String CODEC(ZSTD(1)),
    system      LowCardinality(String),
    environment LowCardinality(String),
    outcome     Enum8('ok' = 0, 'error' = 1),
    sequence    String CODEC(ZSTD(1)),
    trace_id    String CODEC(ZSTD(1)),
    span_id     String CODEC(ZSTD(1)),
    parent_id   String CODEC(ZSTD(1)),
    keys        Array(String) CODEC(ZSTD(1)) COMMENT 'type:value',
    attributes  String CODEC(ZSTD(1)) COMMENT 'JSON object; empty for none',
    data        String CODEC(ZSTD(1)) COMMENT 'JSON object; empty for none',
    as_of       DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'clock of the import; 1970-01-01 for a live signal',
    INDEX idx_keys keys TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(received, 'UTC')
ORDER BY (name, time)
TTL toDateTime(received, 'UTC') + INTERVAL 90 DAY DELETE WHERE empty(keys),
    toDateTime(received, 'UTC') + INTERVAL 400 DAY
SETTINGS {{dedup}}
