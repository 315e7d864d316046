package flows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Packed are the attributes and the data of a signal as text, and its content hash. The way
// from the door to the store and to the engine needs all of them as text, and few by name.
type Packed struct {
	Attributes string // as AppendJSON writes them; "" where Signal.Attributes counts
	Data       string // likewise
	Hash       uint64 // ContentHash of the signal that was packed; 0 where it is not known
}

// Attribute is an attribute by its name, packed or not.
func (s *Signal) Attribute(name string) (any, bool) {
	if s.Packed.Attributes != "" {
		return unpackedMember(s.Packed.Attributes, name)
	}
	v, ok := s.Attributes[name]
	return v, ok
}

// Field is a field of data by its name, packed or not.
func (s *Signal) Field(name string) (any, bool) {
	if s.Packed.Data != "" {
		return unpackedMember(s.Packed.Data, name)
	}
	v, ok := s.Data[name]
	return v, ok
}

// Unpack makes maps of what is packed.
func (s *Signal) Unpack() error {
	for _, part := range [...]struct {
		text *string
		to   *map[string]any
	}{{&s.Packed.Attributes, &s.Attributes}, {&s.Packed.Data, &s.Data}} {
		if *part.text == "" {
			continue
		}
		v, err := unpacked(*part.text)
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("unpack signal %s/%s: no object: %w", s.Source, s.ID, err)
		}
		*part.to, *part.text = m, ""
	}
	return nil
}

// AppendAttributes appends the attributes as AppendJSON does, nothing for none.
func (s *Signal) AppendAttributes(b []byte) ([]byte, error) {
	return appendPart(b, s.Packed.Attributes, s.Attributes)
}

// AppendData appends the data as AppendJSON does, nothing for none.
func (s *Signal) AppendData(b []byte) ([]byte, error) { return appendPart(b, s.Packed.Data, s.Data) }

func appendPart(b []byte, packed string, m map[string]any) ([]byte, error) {
	if packed != "" || m == nil {
		return append(b, packed...), nil
	}
	return appendObject(b, m)
}

// path follows a dotted name into packed data, as Signal.Lookup does into maps.
func path(text, name string) (any, bool) {
	for {
		head, rest, dotted := strings.Cut(name, ".")
		if !dotted {
			return unpackedMember(text, name)
		}
		value, ok := member(text, head)
		if !ok || value == "" || value[0] != '{' {
			return nil, false
		}
		text, name = value, rest
	}
}

func unpackedMember(text, name string) (any, bool) {
	value, ok := member(text, name)
	if !ok {
		return nil, false
	}
	v, err := unpacked(value)
	return v, err == nil
}

// member is the text of a member of an object that AppendJSON wrote. Of any other text it
// may say that there is no such member.
func member(text, name string) (string, bool) {
	if len(text) < 2 || text[0] != '{' || !strings.Contains(text, name) && plain(name) {
		return "", false
	}
	for at := 1; at < len(text) && text[at] == '"'; at++ { // over the comma
		end := endOfText(text, at)
		if end >= len(text) {
			return "", false
		}
		from := end + 1 // over the colon
		to := skipped(text, from)
		if to < 0 {
			return "", false
		}
		if have := text[at+1 : end-1]; have == name || strings.IndexByte(have, '\\') >= 0 && unquoted(text[at:end]) == name {
			return text[from:to], true
		}
		at = to
	}
	return "", false
}

// members calls f with the names of the members of an object that AppendJSON wrote.
func members(text string, f func(name string)) {
	for at := 1; at < len(text) && text[at] == '"'; at++ { // over the comma
		end := endOfText(text, at)
		to := skipped(text, end+1)
		if to < 0 {
			return
		}
		f(plainText(text[at:end]))
		at = to
	}
}

// plainText is the text of a string in quotes.
func plainText(quoted string) string {
	if strings.IndexByte(quoted, '\\') >= 0 || len(quoted) < 2 {
		return unquoted(quoted)
	}
	return quoted[1 : len(quoted)-1]
}

// packedObject is what object says of the object at i of a text that AppendJSON wrote, and
// where it ends.
func (h contentHash) packedObject(text string, i int) (_ contentHash, end int) {
	var all, n uint64
	for i++; i < len(text) && text[i] == '"'; n++ {
		colon := endOfText(text, i)
		entry := contentHash(hashEntry).text(plainText(text[i:colon]))
		entry, i = entry.packedValue(text, colon+1)
		all += entry.sum()
		if i < len(text) && text[i] == ',' {
			i++
		}
	}
	return h.pair(all, n<<8|'m'), i + 1
}

func (h contentHash) packedValue(text string, i int) (_ contentHash, end int) {
	if i >= len(text) {
		return h, len(text)
	}
	switch text[i] {
	case '{':
		return h.packedObject(text, i)
	case '[':
		n := uint64(0)
		for i++; i < len(text) && text[i] != ']'; n++ {
			h, i = h.packedValue(text, i)
			if i < len(text) && text[i] == ',' {
				i++
			}
		}
		return h.pair(n, 'l'), i + 1
	case '"':
		end = endOfText(text, i)
		return h.text(plainText(text[i:end])), end
	}
	if end = skipped(text, i); end <= i {
		end = len(text)
	}
	if word := text[i:end]; len(word) < 18 && word != "-0" && word != "-" {
		if n, ok := whole(word); ok {
			return h.pair(uint64(n), 'i'), end
		}
	}
	v, err := unpacked(text[i:end])
	if err != nil {
		return h, end
	}
	return h.value(v), end
}

// whole is a number of digits only, with or without a sign.
func whole(word string) (n int64, ok bool) {
	digits := strings.TrimPrefix(word, "-")
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(digits[i]-'0')
	}
	if len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	if len(digits) < len(word) {
		n = -n
	}
	return n, len(digits) > 0
}

// plain says whether a name is written as it is.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// endOfText is where the string that begins at i ends; the length of text where it does not.
func endOfText(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(text)
}

// skipped is where the value that begins at i ends; -1 where it does not.
func skipped(text string, i int) int {
	for level := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = endOfText(text, i) - 1; level == 0 {
				return i + 1
			}
		case '{', '[':
			level++
		case '}', ']':
			if level == 0 {
				return i
			}
			if level--; level == 0 {
				return i + 1
			}
		case ',':
			if level == 0 {
				return i
			}
		}
	}
	return -1
}

// unquoted is the text of a string in quotes.
func unquoted(text string) string {
	var s string
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return ""
	}
	return s
}

// unpacked reads a value that AppendJSON wrote.
func unpacked(text string) (any, error) {
	switch {
	case text == "":
		return nil, fmt.Errorf("unpack a value: %w", ErrNotFound)
	case text[0] == '"' && strings.IndexByte(text, '\\') < 0 && len(text) > 1:
		return text[1 : len(text)-1], nil
	case text[0] == '-' || '0' <= text[0] && text[0] <= '9':
		return Number(text), nil
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("unpack a value: %w", err)
	}
	n := 0
	return canonical(v, &n), nil
}
