package otlp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode"

	"throughline/flows"
	"throughline/ingest"
)

// Document is what one document of a file holds: a request, as it could have been sent.
type Document struct {
	Number   int         // from 1
	Batch    flows.Batch // of what can be used; until the next document is asked for
	Rejected int         // spans or log records that cannot be used; 1 for a document of which nothing can
	Fault    string      // why, "" where nothing is rejected
}

// byteOrderMark is what some programs begin a file with, and each of several files that were
// put together.
const byteOrderMark = '\ufeff'

// documentMemory bounds what a document decodes to, as that of requests is.
const documentMemory = 256 << 20

// IsFile tells from the beginning of a file whether it is OTLP/JSON.
func IsFile(head []byte) bool {
	head = bytes.TrimLeftFunc(head, aroundDocument)
	if !bytes.HasPrefix(head, []byte("{")) {
		return false
	}
	for _, name := range []string{`"resourceSpans"`, `"resourceLogs"`, `"resourceMetrics"`} {
		if bytes.Contains(head, []byte(name)) {
			return true
		}
	}
	return false
}

// ReadFile reads traces and logs in OTLP/JSON as files have them: documents one behind the
// other, on lines of their own or not, with byte-order marks or without. Each is bounded as a
// request is. One that cannot be used is a Document with a Fault, and reading goes on; where
// one ends cannot be told, the error is the last that is yielded.
func ReadFile(r io.Reader, rules ingest.Rules, received flows.Time) iter.Seq2[Document, error] {
	from := bufio.NewReaderSize(r, 64<<10)
	return func(yield func(Document, error) bool) {
		for number := 1; ; number++ {
			text, err := nextDocument(from)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Document{}, fmt.Errorf("document %d: %w", number, err))
				return
			}
			if !readDocument(text, number, rules, received, yield) {
				return
			}
		}
	}
}

func readDocument(text []byte, number int, rules ingest.Rules, received flows.Time, yield func(Document, error) bool) bool {
	unusable := func(why string) bool {
		return yield(Document{Number: number, Rejected: 1, Fault: fmt.Sprintf("document %d: %s", number, why)}, nil)
	}
	var has struct {
		Spans   *json.RawMessage `json:"resourceSpans"`
		Logs    *json.RawMessage `json:"resourceLogs"`
		Metrics *json.RawMessage `json:"resourceMetrics"`
	}
	if err := json.Unmarshal(text, &has); err != nil {
		return unusable(fmt.Sprintf("not JSON: %v", err))
	}
	if has.Metrics != nil && !unusable("metrics are not taken") {
		return false
	}
	if has.Spans == nil && has.Logs == nil && has.Metrics == nil {
		return unusable("not OTLP/JSON: it has neither resourceSpans nor resourceLogs")
	}
	for _, part := range []struct {
		signal *signal
		there  bool
	}{{&traces, has.Spans != nil}, {&logs, has.Logs != nil}} {
		if !part.there {
			continue
		}
		left := documentMemory
		res, err := part.signal.json(mapper{rules, received, func(n int) error {
			if left -= n; left < 0 {
				return ingest.Refuse(ingest.TooLarge, "takes too much memory; split it")
			}
			return nil
		}}, text)
		if err != nil {
			if !unusable(ingest.AsRefusal(err).Detail) {
				return false
			}
			continue
		}
		d := Document{Number: number, Batch: res.batch, Rejected: res.rejected.Total(), Fault: res.message(part.signal.item)}
		if d.Fault != "" {
			d.Fault = fmt.Sprintf("document %d: %s", number, d.Fault)
		}
		more := yield(d, nil)
		if res.free(); !more {
			return false
		}
	}
	return true
}

// nextDocument reads one object in JSON, without looking at what is in it. io.EOF says that
// there is none.
func nextDocument(r *bufio.Reader) ([]byte, error) {
	first, err := firstOf(r)
	if err != nil {
		return nil, err
	}
	if first != '{' {
		return nil, fmt.Errorf("begins with %q; OTLP files are taken as JSON, one document or several behind each other", first)
	}
	text := []byte{'{'}
	depth, quoted, escaped := 1, false, false
	for depth > 0 {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("does not end: the file is cut off")
		}
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		if len(text) == ingest.MaxBody {
			return nil, fmt.Errorf("is larger than the %d MiB that are taken; split it", ingest.MaxBody>>20)
		}
		text = append(text, c)
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
	}
	return text, nil
}

// firstOf is what a document begins with.
func firstOf(r *bufio.Reader) (rune, error) {
	for {
		c, _, err := r.ReadRune()
		if err != nil || !aroundDocument(c) {
			return c, err //nolint:wrapcheck // io.EOF is the end
		}
	}
}

func aroundDocument(c rune) bool { return c == byteOrderMark || unicode.IsSpace(c) }
