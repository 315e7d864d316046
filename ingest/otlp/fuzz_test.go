package otlp

import (
	"encoding/hex"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/protobuf/encoding/protowire"

	"throughline/ingest"
)

func traceHex16() []byte {
	b, err := hex.DecodeString(traceHex)
	if err != nil {
		panic(err)
	}
	return b
}

// message writes protobuf from pairs of field number and value: bytes, or uint64 for
// fixed64. (Booleans of field 2 in a value are varints that happen to be equal there.)
func message(pairs ...any) []byte {
	var b []byte
	for i := 0; i < len(pairs); i += 2 {
		number := protowire.Number(pairs[i].(int))
		switch v := pairs[i+1].(type) {
		case []byte:
			b = protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
		case uint64:
			b = protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), v)
		}
	}
	return b
}

func checkRefused(t *testing.T, err error) {
	t.Helper()
	if ingest.AsRefusal(err).Class.Retry() {
		t.Fatalf("a request at fault is retryable: %v", err)
	}
}

func seedTraces() [][]byte {
	return [][]byte{
		tracesJSON(), tracesJSON(spanJSON("")), tracesJSON(spanJSON(`,"kind":3,"status":{"code":"STATUS_CODE_ERROR"}`)),
		tracesJSON(spanJSON(`,"attributes":[` + attributes(3) + `,{"key":"k","value":` + nested(3) + `}]`)),
		tracesJSON(spanJSON(`,"events":[{"timeUnixNano":5,"name":"e"}],"links":[{"traceId":"` + traceHex + `"}]`)),
	}
}

// FuzzTracesProto: every span is accepted within all limits or rejected with a reason, and
// there are as many as the collector's library finds; where none is rejected, they are in
// all their fields what it finds.
func FuzzTracesProto(f *testing.F) {
	for _, seed := range seedTraces() {
		f.Add(transcodeTraces(f, seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeTracesProto(testMapper, body)
		if err != nil {
			checkRefused(t, err)
			return
		}
		checkAccepted(t, r)
		oracle := ptraceotlp.NewExportRequest()
		if oracle.UnmarshalProto(body) == nil {
			if got, want := r.batch.SpanCount()+r.rejected.Total(), oracle.Traces().SpanCount(); got != want {
				t.Fatalf("%d spans, the collector finds %d", got, want)
			}
			if r.rejected.Total() == 0 {
				checkAgainstCollector(t, r.batch.Spans, oracle.Traces())
			}
		}
	})
}

// FuzzTracesJSON is FuzzTracesProto for JSON. The collector's reader takes text that is no
// JSON, so it is no oracle here.
func FuzzTracesJSON(f *testing.F) {
	for _, seed := range seedTraces() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := decodeTracesJSON(testMapper, body)
		if err != nil {
			checkRefused(t, err)
			return
		}
		checkAccepted(t, r)
	})
}

// FuzzLogs is the same for logs, in both encodings.
func FuzzLogs(f *testing.F) {
	for _, seed := range [][]byte{
		logsJSON(), logsJSON(`{"eventName":"e","timeUnixNano":"1","body":{"stringValue":"b"}}`),
		logsJSON(`{"severityNumber":9,"flags":1,"attributes":[` + attributes(2) + `],"body":` + nested(2) + `}`),
	} {
		f.Add(true, seed)
		f.Add(false, transcodeLogs(f, seed))
	}
	f.Fuzz(func(t *testing.T, asJSON bool, body []byte) {
		decode := decodeLogsProto
		if asJSON {
			decode = decodeLogsJSON
		}
		r, err := decode(testMapper, body)
		if err != nil {
			checkRefused(t, err)
			return
		}
		checkAccepted(t, r)
		oracle := plogotlp.NewExportRequest()
		if !asJSON && oracle.UnmarshalProto(body) == nil {
			got := len(r.batch.Signals) + len(r.batch.Logs) + r.rejected.Total()
			if want := oracle.Logs().LogRecordCount(); got != want {
				t.Fatalf("%d records, the collector finds %d", got, want)
			}
		}
	})
}
