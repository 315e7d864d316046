-- When each trace was, as the exporter's table of this name says; a condition on TraceId reaches the index of spans.
CREATE VIEW IF NOT EXISTS {{.Database}}.otel_traces_trace_id_ts{{.OnCluster}} AS
SELECT TraceId, toDateTime(min(Timestamp)) AS Start, toDateTime(max(Timestamp)) AS End
FROM {{.Database}}.spans
GROUP BY TraceId
