-- Columns and names of the OpenTelemetry ClickHouse exporter's otel_traces, so that its dashboards and tools read this
-- table; Received is ours. Sorted for their top query, one service's spans of one name over a time; a trace is found by
-- its index. Replacing by trace and span id (equal spans agree on the columns before them); a query counts distinct.
CREATE TABLE IF NOT EXISTS {{.Database}}.spans{{.OnCluster}}
(
    Timestamp          DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId            String CODEC(ZSTD(1)),
    SpanId             String CODEC(ZSTD(1)),
    ParentSpanId       String CODEC(ZSTD(1)),
    TraceState         String CODEC(ZSTD(1)),
    SpanName           LowCardinality(String),
    SpanKind           LowCardinality(String),
    ServiceName        LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName          LowCardinality(String),
    ScopeVersion       LowCardinality(String),
    SpanAttributes     Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration           UInt64 COMMENT 'nanoseconds',
    StatusCode         LowCardinality(String),
    StatusMessage      String CODEC(ZSTD(1)),
    Events             Nested
    (
        Timestamp  DateTime64(9),
        Name       LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links              Nested
    (
        TraceId    String,
        SpanId     String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Received           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_timestamp Timestamp TYPE minmax GRANULARITY 1
)
ENGINE = {{engine "ReplacingMergeTree"}}
PARTITION BY toDate(Received, 'UTC')
PRIMARY KEY (ServiceName, SpanName, toDateTime(Timestamp, 'UTC'))
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp, 'UTC'), TraceId, SpanId)
TTL Received + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1, {{dedup}}
