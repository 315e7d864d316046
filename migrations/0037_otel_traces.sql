-- spans under the name and with exactly the columns that the OpenTelemetry ClickHouse exporter gives them, for tools that ask for
-- these. Nothing is stored twice.
CREATE VIEW IF NOT EXISTS {{.Database}}.otel_traces{{.OnCluster}} AS
SELECT
    Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes,
    Duration, StatusCode, StatusMessage, `Events.Timestamp`, `Events.Name`, `Events.Attributes`, `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`
FROM {{.Database}}.spans
