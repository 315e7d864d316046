package store

import (
	"testing"

	"throughline/flows"
)

// What the exporter's own documentation, Grafana's ClickHouse datasource with its OpenTelemetry
// settings, and HyperDX (keys as its source asks for them, a list of the kind that it shows) ask of
// otel_traces is answered from our spans, as it stands.
func TestQueriesForTheExporter(t *testing.T) {
	s := openStore(t)
	span := func(id, parent, status string) flows.SpanRecord {
		return flows.SpanRecord{
			TraceID: "391dae938234560b16bb63f51501cb6f", SpanID: id, ParentID: parent, Name: "POST /pay", Kind: "Server", Start: heard(), Duration: 2_000_000_000, StatusCode: status,
			Origin:     &flows.SpanOrigin{Service: "shop", Resource: map[string]any{"service.name": "shop"}},
			Attributes: []flows.Attribute{{Name: "peer.service", Text: "bank"}},
			Events:     []flows.SpanEvent{{Time: heard(), Name: "exception", Attributes: map[string]any{"m": "no"}}},
			Links:      []flows.SpanLink{{TraceID: "aa", SpanID: "bb", Attributes: map[string]any{"d": "e"}}},
		}
	}
	if err := s.InsertSpans(t.Context(), "", packed(t, span("01", "", "Error"), span("02", "01", "Ok")), heard()); err != nil {
		t.Fatal(err)
	}
	const (
		all = "Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, Duration, StatusCode, StatusMessage," +
			" toString(SpanAttributes), toString(ResourceAttributes), toString(Events.Name), toString(Links.TraceId)"
		since  = "ServiceName = 'shop' AND Timestamp >= toDateTime64('2026-01-01', 9) LIMIT 100"
		within = "WITH '391dae938234560b16bb63f51501cb6f' AS trace_id," +
			" (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_start," +
			" (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = trace_id) AS trace_end "
		ofTrace = " FROM otel_traces WHERE TraceId = trace_id AND Timestamp >= trace_start AND Timestamp <= trace_end LIMIT 1000"
	)
	for name, c := range map[string]struct {
		query string
		want  int
	}{
		"exporter: attribute": {"SELECT " + all + " FROM otel_traces WHERE SpanAttributes['peer.service'] = 'bank' AND " + since, 2},
		"exporter: errors":    {"SELECT " + all + " FROM otel_traces WHERE StatusCode = 'Error' AND " + since, 1},
		"exporter: slow":      {"SELECT " + all + " FROM otel_traces WHERE Duration > 1 * 1e9 AND " + since, 2},
		"exporter: trace":     {within + "SELECT " + all + ofTrace, 2},
		"Grafana: list": {`SELECT "TraceId" AS traceID, "ServiceName" AS serviceName, "SpanName" AS operationName, "Timestamp" AS startTime, multiply("Duration", 0.000001) AS duration` +
			` FROM otel_traces WHERE ( Timestamp >= toDateTime64('2026-01-01', 9) ) AND ( ParentSpanId = '' ) AND ( Duration > 0 ) ORDER BY Timestamp DESC, Duration DESC LIMIT 1000`, 1},
		"Grafana: trace": {within + `SELECT "TraceId" AS traceID, "SpanId" AS spanID, "ParentSpanId" AS parentSpanID, "ServiceName" AS serviceName, "SpanName" AS operationName,` +
			` multiply(toUnixTimestamp64Nano("Timestamp"), 0.000001) AS startTime, multiply("Duration", 0.000001) AS duration,` +
			` arrayMap(key -> map('key', key, 'value', "SpanAttributes"[key]), mapKeys("SpanAttributes")) AS tags,` +
			` arrayMap(key -> map('key', key, 'value', "ResourceAttributes"[key]), mapKeys("ResourceAttributes")) AS serviceTags,` +
			` if("StatusCode" IN ('Error', 'STATUS_CODE_ERROR'), 2, 0) AS statusCode, "TraceState" AS traceState, "ScopeName" AS library,` +
			` arrayMap((name, timestamp, attributes) -> tuple(name, toString(toUnixTimestamp64Milli(timestamp)), mapKeys(attributes)), "Events".Name, "Events".Timestamp, "Events".Attributes) AS logs,` +
			` arrayMap((trace, span) -> tuple(trace, span), "Links".TraceId, "Links".SpanId) AS references` + ofTrace, 2},
		"HyperDX: list": {"SELECT Timestamp, ServiceName AS service, StatusCode AS level, round(Duration / 1e6) AS duration, SpanName, TraceId, SpanId" +
			" FROM otel_traces WHERE (Timestamp >= fromUnixTimestamp64Milli(1767225600000)) AND (ServiceName = 'shop') AND (SpanAttributes['peer.service'] ILIKE '%ban%') ORDER BY Timestamp DESC LIMIT 200", 2},
		"HyperDX: keys":  {"WITH sampledKeys AS (SELECT `SpanAttributes`.keys AS keysArr FROM otel_traces LIMIT 3000000) SELECT DISTINCT lowCardinalityKeys(arrayJoin(keysArr)) AS key FROM sampledKeys LIMIT 1000", 2}, // an empty one, which it drops, and peer.service
		"the whole rows": {"SELECT * FROM otel_traces", 2},
	} {
		rows, err := s.conn.Query(t.Context(), "SELECT count() FROM ("+c.query+")")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var n uint64
		for rows.Next() {
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil || int(n) != c.want {
			t.Errorf("%s: %d rows, want %d; %v", name, n, c.want, err)
		}
	}
	is(t, s, "SELECT concat(name, ' ', type) FROM system.columns WHERE database = currentDatabase() AND table = 'otel_traces_trace_id_ts'", "End DateTime", "Start DateTime", "TraceId String")
}
