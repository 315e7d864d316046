package views

import (
	"net/url"
	"strings"

	"throughline/flows"
)

func (v SearchResults) hits() int {
	return len(v.Flows) + len(v.Found.Instances) + len(v.Found.Keys)
}

func (v SearchResults) flowTitle(name string) string {
	for _, f := range v.Known {
		if f.Name == name {
			return f.Title
		}
	}
	return name
}

// findText splits text around the first place where query stands, whatever its case; hit is
// "" where it stands nowhere. Only queries in ASCII are found in another case.
func findText(text, query string) (before, hit, after string) {
	if query == "" {
		return text, "", ""
	}
	i := strings.Index(asciiLower(text), asciiLower(query))
	if i < 0 {
		return text, "", ""
	}
	return text[:i], text[i : i+len(query)], text[i+len(query):]
}

// asciiLower keeps every byte in its place, unlike strings.ToLower.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func (v EntityTimeline) note() string {
	n := plural(len(v.Signals), "signal", "signals")
	if v.Next != "" {
		return "the first " + n
	}
	return n + ", times in " + v.ZoneName()
}

// instanceLink leads to the instance that a key names; "" where it is no flow's primary key.
func (v EntityTimeline) instanceLink(k flows.Key) string {
	for _, f := range v.Known {
		if f.Key == k.Type {
			return instanceURL(f.Name, k.Value)
		}
	}
	return ""
}

func (v EntityTimeline) nextLink() string {
	return entityURL(v.Key) + "?cursor=" + url.QueryEscape(v.Next)
}
