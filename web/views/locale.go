package views

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"
)

// Locale says how numbers are written: the words of pages are English, their numbers the
// reader's. The zero value is English.
type Locale struct{ style *numberStyle }

// numberStyle is one way to write numbers.
type numberStyle struct {
	name, point, group string
	money              moneyPlace
	lakh               bool // groups of two digits before the last three
}

type moneyPlace int

const (
	moneyTight  moneyPlace = iota // €1.20, CHF 1.20
	moneyBefore                   // € 1.20
	moneyAfter                    // 1.20 €
)

const thinSpace, hardSpace = "\u202f", nb

// numberStyles are those that are known, English first. Their names go into the addresses of
// sockets: who writes numbers in the same way shares what is rendered.
var numberStyles = []numberStyle{
	{"en", ".", ",", moneyTight, false},
	{"in", ".", ",", moneyTight, true},
	{"de", ",", ".", moneyAfter, false},
	{"nl", ",", ".", moneyBefore, false},
	{"tr", ",", ".", moneyTight, false},
	{"fr", ",", thinSpace, moneyAfter, false},
	{"sv", ",", hardSpace, moneyAfter, false},
	{"ch", ".", "’", moneyBefore, false},
}

// languages are the styles of languages and of regions that differ from their language; the
// rest writes as English does.
var languages = map[string]string{
	"en-in": "in", "hi": "in", "bn": "in", "ta": "in", "te": "in", "mr": "in", "gu": "in", "kn": "in", "ml": "in", "pa": "in",
	"de": "de", "es": "de", "it": "de", "pt": "de", "da": "de", "el": "de", "sl": "de", "hr": "de", "sr": "de", "bs": "de", "mk": "de", "ro": "de", "ca": "de", "gl": "de", "eu": "de", "is": "de", "vi": "de",
	"es-mx": "en", "es-us": "en", "es-pr": "en", "es-gt": "en", "es-pe": "en",
	"nl": "nl", "pt-br": "nl", "id": "nl", "de-at": "nl", "tr": "tr",
	"fr": "fr", "ru": "sv", "uk": "sv", "be": "sv", "pl": "sv", "cs": "sv", "sk": "sv", "sv": "sv", "nb": "sv", "nn": "sv", "no": "sv", "fi": "sv", "hu": "sv", "bg": "sv", "et": "sv", "lv": "sv", "lt": "sv", "kk": "sv",
	"pt-pt": "sv", "en-se": "sv", "en-fi": "sv", "en-za": "sv", "af": "sv",
	"de-ch": "ch", "de-li": "ch", "it-ch": "ch", "en-ch": "ch", "en-de": "de", "en-nl": "nl", "en-at": "nl",
}

// LocaleNamed is the style of numbers with that name; English where there is none.
func LocaleNamed(name string) Locale {
	for i := range numberStyles {
		if numberStyles[i].name == name && i > 0 {
			return Locale{&numberStyles[i]}
		}
	}
	return Locale{}
}

// LocaleOf is that of the language which an Accept-Language header likes best.
func LocaleOf(accepted string) Locale {
	const most = 16 // languages of a header; nobody reads more
	best, liked := "", 0.0
	for i, entry := range strings.SplitN(accepted, ",", most+1) {
		tag, quality, given := strings.Cut(strings.TrimSpace(entry), ";")
		q := 1.0
		if given {
			var err error
			if q, err = strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(quality), "q="), 64); err != nil {
				continue
			}
		}
		if i < most && q > liked && tag != "*" {
			best, liked = strings.ToLower(strings.TrimSpace(tag)), q
		}
	}
	for best != "" {
		if name, ok := languages[best]; ok {
			return LocaleNamed(name)
		}
		cut := strings.LastIndexByte(best, '-')
		best = best[:max(cut, 0)]
	}
	return Locale{}
}

// Name names the style; "" is English.
func (l Locale) Name() string {
	if l.style == nil {
		return ""
	}
	return l.style.name
}

// Marks stand where the reader's locale decides what is written. They are noncharacters of
// Unicode, which are for a program's own use and never sent: Write replaces all of them, also
// those that a user's text brings along.
const (
	markPoint    = "\ufdd0" // before the fraction
	markGroup    = "\ufdd1" // between groups, whichever
	markThree    = "\ufdd2" // between groups of three only
	markLakh     = "\ufdd3" // between groups of two only
	markCurrency = "\ufdd4" // before a currency's sign, which an amount follows
	markAmount   = "\ufdd5" // before the amount
	markEnd      = "\ufdd6" // behind the amount

	markLead  = "\xef\xb7"
	markBytes = len(markPoint)
)

// Write replaces the marks in text.
func (l Locale) Write(text []byte) []byte {
	at := bytes.Index(text, []byte(markLead))
	if at < 0 {
		return text
	}
	style := &numberStyles[0]
	if l.style != nil {
		style = l.style
	}
	out := make([]byte, 0, len(text))
	for at >= 0 && at+markBytes <= len(text) {
		mark := string(text[at : at+markBytes])
		out, text = append(out, text[:at]...), text[at+markBytes:]
		switch mark {
		case markPoint:
			out = append(out, style.point...)
		case markGroup:
			out = append(out, style.group...)
		case markThree:
			if !style.lakh {
				out = append(out, style.group...)
			}
		case markLakh:
			if style.lakh {
				out = append(out, style.group...)
			}
		case markCurrency:
			if sign, amount, rest, ok := priced(text); ok && style.money == moneyAfter {
				out, text = append(append(append(out, l.Write(amount)...), nb...), sign...), rest
			}
		case markAmount:
			if style.money == moneyBefore || len(out) > 0 && unicode.IsLetter(rune(out[len(out)-1])) { // a code, as CHF
				out = append(out, nb...)
			}
		case markEnd:
		default: // no mark of ours, but of the same block
			out = append(out, mark...)
		}
		at = bytes.Index(text, []byte(markLead))
	}
	return append(out, text...)
}

// priced takes an amount apart whose markCurrency was read. What is no amount of ours, as it
// may be where a user's text brings marks along, is left alone.
func priced(text []byte) (sign, amount, rest []byte, ok bool) {
	const longest = 128 // bytes; the longest amount is 38 digits
	head := text[:min(len(text), longest)]
	sign, head, ok = bytes.Cut(head, []byte(markAmount))
	if !ok {
		return nil, nil, nil, false
	}
	amount, _, ok = bytes.Cut(head, []byte(markEnd))
	if !ok || bytes.Contains(sign, []byte(markLead)) || bytes.Contains(amount, []byte(markCurrency)) || bytes.ContainsAny(sign, `<>&"`) || bytes.ContainsAny(amount, `<>&"`) {
		return nil, nil, nil, false
	}
	return sign, amount, text[len(sign)+len(amount)+2*markBytes:], true
}

// letters is how long a text is once it is written, as English writes it.
func letters(text string) int { return utf8.RuneCount(Locale{}.Write([]byte(text))) }

// Written is a component with its numbers as the locale writes them.
func Written(c templ.Component, l Locale) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		var b bytes.Buffer
		if err := c.Render(ctx, &b); err != nil {
			return err
		}
		_, err := w.Write(l.Write(b.Bytes()))
		return err
	})
}

// Document is a whole page around its body. It is complete without JavaScript.
func Document(s Shell, body templ.Component) templ.Component {
	return Written(document(s, body), s.Locale)
}
