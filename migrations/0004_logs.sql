-- Columns and names of the OpenTelemetry ClickHouse exporter's otel_logs; Received is ours. Sorted for the top query,
-- one service's records over a time; those of a trace are found by its index.
CREATE TABLE IF NOT EXISTS {{.Database}}.logs{{.OnCluster}}
(
    Timestamp          DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimestampTime      DateTime('UTC') DEFAULT toDateTime(Timestamp, 'UTC'),
    TraceId            String CODEC(ZSTD(1)),
    SpanId             String CODEC(ZSTD(1)),
    TraceFlags         UInt8,
    SeverityText       LowCardinality(String),
    SeverityNumber     UInt8,
    ServiceName        LowCardinality(String),
    Body               String CODEC(ZSTD(1)),
    ResourceSchemaUrl  LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl     LowCardinality(String),
    ScopeName          LowCardinality(String),
    ScopeVersion       LowCardinality(String),
    ScopeAttributes    Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes      Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName          String,
    Received           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toDate(Received, 'UTC')
ORDER BY (ServiceName, TimestampTime, Timestamp)
TTL Received + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1, {{dedup}}
