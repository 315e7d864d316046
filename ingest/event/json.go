package event

import (
	"unicode/utf16"
	"unicode/utf8"

	"throughline/flows"
)

// reader reads JSON to the text that flows.AppendJSON makes of what flows.DecodeObject reads,
// in one pass. Texts share the memory of s, which must be valid UTF-8. Where something is
// unusual, or wrong, it says no, and whoever called it reads the same again slowly: what is
// refused, and with which words, is said in one place only.
type reader struct {
	s      string
	at     int
	shape  int // what ingest.JSONShape counts
	values int // what flows.Canonical counts

	out   []byte // what was read, as flows.AppendJSON writes it
	stack []part // of the objects that are being read
	room  []byte // for putting an object in order
}

// begin counts anew, for an event that begins here.
func (r *reader) begin() { r.shape, r.values = 1, 0 }

// within says whether the counts are in the limits of an event.
func (r *reader) within() bool {
	return r.shape <= 2*flows.MaxAttributes && r.values <= flows.MaxAttributes
}

// peek is the next byte that is no space; 0 at the end.
func (r *reader) peek() byte {
	for ; r.at < len(r.s); r.at++ {
		switch c := r.s[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// take moves on over c, if that is what comes next.
func (r *reader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

// word moves on over a literal.
func (r *reader) word(w string) bool {
	if len(r.s)-r.at < len(w) || r.s[r.at:r.at+len(w)] != w {
		return false
	}
	r.at += len(w)
	return true
}

// text reads a string; the next byte is its quote.
func (r *reader) text() (string, bool) {
	from := r.at + 1
	for i := from; i < len(r.s); i++ {
		switch c := r.s[i]; {
		case c == '"':
			r.at = i + 1
			return r.s[from:i], true
		case c == '\\':
			return r.escaped(from, i)
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped goes on with a string that has an escape at i.
func (r *reader) escaped(from, i int) (string, bool) {
	b := append(make([]byte, 0, i-from+32), r.s[from:i]...)
	for i < len(r.s) {
		c := r.s[i]
		switch {
		case c == '"':
			r.at = i + 1
			return string(b), true
		case c < ' ':
			return "", false
		case c != '\\':
			b = append(b, c)
			i++
			continue
		}
		if i++; i == len(r.s) {
			return "", false
		}
		switch c := r.s[i]; c {
		case '"', '\\', '/':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'u':
			char, size := r.escapedRune(i + 1)
			if size == 0 {
				return "", false
			}
			b = utf8.AppendRune(b, char)
			i += size
		default:
			return "", false
		}
		i++
	}
	return "", false
}

// escapedRune reads what follows \u at i. It leaves out NUL, which no signal has, and
// halves of pairs: their size is 0.
func (r *reader) escapedRune(i int) (rune, int) {
	char, ok := r.hex(i)
	if !ok || char == 0 {
		return 0, 0
	}
	if !utf16.IsSurrogate(char) {
		return char, 4
	}
	if len(r.s) < i+6 || r.s[i+4:i+6] != `\u` {
		return 0, 0
	}
	low, ok := r.hex(i + 6)
	if char = utf16.DecodeRune(char, low); !ok || char == utf8.RuneError {
		return 0, 0
	}
	return char, 10
}

func (r *reader) hex(i int) (rune, bool) {
	if len(r.s) < i+4 {
		return 0, false
	}
	n := rune(0)
	for _, c := range []byte(r.s[i : i+4]) {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			n = n<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// digits moves on over digits, and says whether there was one.
func (r *reader) digits() bool {
	from := r.at
	for r.at < len(r.s) && '0' <= r.s[r.at] && r.s[r.at] <= '9' {
		r.at++
	}
	return r.at > from
}

// number moves on over a number.
func (r *reader) number() bool {
	r.word("-")
	if !r.word("0") && !r.digits() {
		return false
	}
	if r.word(".") && !r.digits() {
		return false
	}
	if r.word("e") || r.word("E") {
		if !r.word("+") {
			r.word("-")
		}
		return r.digits()
	}
	return true
}
