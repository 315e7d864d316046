package otlp

import (
	"encoding/json"

	"throughline/flows"
)

// decodeTracesJSON reads an ExportTraceServiceRequest in JSON.
func decodeTracesJSON(m mapper, body []byte) (*result, error) {
	var request struct {
		ResourceSpans []struct {
			Resource   json.RawMessage `json:"resource"`
			ScopeSpans []struct {
				Scope json.RawMessage   `json:"scope"`
				Spans []json.RawMessage `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	if err := m.document(body, &request); err != nil {
		return nil, err
	}
	r := m.newResult()
	for _, group := range request.ResourceSpans {
		res := resourceOf(group.Resource)
		for _, inScope := range group.ScopeSpans {
			sc := scopeOf(inScope.Scope)
			for _, raw := range inScope.Spans {
				s, err := spanOf(raw)
				if err := r.addSpan(s, res, sc, err); err != nil {
					return nil, err
				}
			}
		}
	}
	r.batch.Spans = r.spans.Blocks()
	return r, nil
}

type jsonSpan struct {
	TraceID      string          `json:"traceId"`
	SpanID       string          `json:"spanId"`
	TraceState   string          `json:"traceState"`
	ParentSpanID string          `json:"parentSpanId"`
	Name         string          `json:"name"`
	Kind         json.RawMessage `json:"kind"`
	Start        jsonUint        `json:"startTimeUnixNano"`
	End          jsonUint        `json:"endTimeUnixNano"`
	Attributes   []jsonKeyValue  `json:"attributes"`
	Events       []jsonSpanEvent `json:"events"`
	Links        []jsonSpanLink  `json:"links"`
	Status       struct {
		Message string          `json:"message"`
		Code    json.RawMessage `json:"code"`
	} `json:"status"`
}

type jsonSpanEvent struct {
	Time       jsonUint       `json:"timeUnixNano"`
	Name       string         `json:"name"`
	Attributes []jsonKeyValue `json:"attributes"`
}

type jsonSpanLink struct {
	TraceID    string         `json:"traceId"`
	SpanID     string         `json:"spanId"`
	TraceState string         `json:"traceState"`
	Attributes []jsonKeyValue `json:"attributes"`
}

func spanOf(raw json.RawMessage) (*span, error) {
	var j jsonSpan
	if err := element(raw, "span", &j); err != nil {
		return nil, err
	}
	s := &span{start: uint64(j.Start), end: uint64(j.End)}
	s.Name, s.TraceState, s.StatusMessage = j.Name, j.TraceState, j.Status.Message
	var err error
	if s.TraceID, err = hexID("traceId", j.TraceID, traceIDLen); err != nil {
		return nil, err
	}
	if s.SpanID, err = hexID("spanId", j.SpanID, spanIDLen); err != nil {
		return nil, err
	}
	if s.ParentID, err = hexID("parentSpanId", j.ParentSpanID, spanIDLen); err != nil {
		return nil, err
	}
	if s.kind, err = jsonEnum(j.Kind, "kind", "SPAN_KIND_", kinds[:]); err != nil {
		return nil, err
	}
	if s.status, err = jsonEnum(j.Status.Code, "status code", "STATUS_CODE_", statuses[:]); err != nil {
		return nil, err
	}
	left := flows.MaxAttributes
	attributes, err := attributesOf(j.Attributes, "span attributes", &left)
	if err != nil {
		return nil, err
	}
	for name, v := range attributes {
		a := flows.Attribute{Name: name}
		a.Set(v)
		s.Attributes = append(s.Attributes, a)
	}
	if err := s.setEvents(j.Events); err != nil {
		return nil, err
	}
	return s, s.setLinks(j.Links)
}

func (s *span) setEvents(list []jsonSpanEvent) error {
	if len(list) > maxInSpan {
		return tooManyInSpan("events")
	}
	for _, j := range list {
		at, err := instant("span event time", uint64(j.Time))
		if err != nil {
			return err
		}
		left := flows.MaxAttributes
		attributes, err := attributesOf(j.Attributes, "span event attributes", &left)
		if err != nil {
			return err
		}
		s.Events = append(s.Events, flows.SpanEvent{Time: at, Name: j.Name, Attributes: attributes})
	}
	return nil
}

func (s *span) setLinks(list []jsonSpanLink) error {
	if len(list) > maxInSpan {
		return tooManyInSpan("links")
	}
	for _, j := range list {
		trace, err := hexID("link traceId", j.TraceID, traceIDLen)
		if err != nil {
			return err
		}
		span, err := hexID("link spanId", j.SpanID, spanIDLen)
		if err != nil {
			return err
		}
		left := flows.MaxAttributes
		attributes, err := attributesOf(j.Attributes, "link attributes", &left)
		if err != nil {
			return err
		}
		s.Links = append(s.Links, flows.SpanLink{TraceID: trace, SpanID: span, TraceState: j.TraceState, Attributes: attributes})
	}
	return nil
}
