-- Every event, and the spans that a flow can use. Sorted for restores and backfills, which read whole names; the
-- timeline of a key is found by its index: has(keys, 'order_id:4711'). A copy is a second row: (source, id) for events,
-- (trace_id, span_id) for spans tell. One with a key or a trace may be part of an instance and lives as long as those do.
CREATE TABLE IF NOT EXISTS {{.Database}}.signals{{.OnCluster}}
(
    received    DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    time        DateTime64(9, 'UTC') COMMENT 'of an event; start of a span' CODEC(Delta, ZSTD(1)),
    duration    Int64 COMMENT 'nanoseconds' CODEC(ZSTD(1)),
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
    keys        Array(String) COMMENT 'type:value' CODEC(ZSTD(1)),
    attributes  String COMMENT 'JSON object; empty for none' CODEC(ZSTD(1)),
    data        String COMMENT 'JSON object; empty for none' CODEC(ZSTD(1)),
    as_of       DateTime64(9, 'UTC') COMMENT 'clock of the import; 1970-01-01 for a live signal' CODEC(Delta, ZSTD(1)),
    INDEX idx_keys keys TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(received, 'UTC')
ORDER BY (name, time)
TTL toDateTime(received, 'UTC') + INTERVAL 90 DAY DELETE WHERE empty(keys) AND trace_id = '',
    toDateTime(received, 'UTC') + INTERVAL 400 DAY
SETTINGS {{dedup}}
