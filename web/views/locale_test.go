package views

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"throughline/flows"
)

func TestNumbersByLocale(t *testing.T) {
	m := flows.Money{"EUR": decimal.RequireFromString("1234567.4"), "CHF": decimal.RequireFromString("-12.5")}
	texts := []string{count(1234567), percent(0.984), money(m), withCurrency("USD", thousands("-0.5")), span(1310e6)}
	for name, want := range map[string]string{
		"":   "1,234,567|98.4 %|−CHF 12.50, €1,234,567|−$0.5|1.3 s",
		"in": "12,34,567|98.4 %|−CHF 12.50, €12,34,567|−$0.5|1.3 s",
		"de": "1.234.567|98,4 %|−12,50 CHF, 1.234.567 €|−0,5 $|1,3 s",
		"nl": "1.234.567|98,4 %|−CHF 12,50, € 1.234.567|−$ 0,5|1,3 s",
		"fr": "1\u202f234\u202f567|98,4 %|−12,50 CHF, 1\u202f234\u202f567 €|−0,5 $|1,3 s",
		"ch": "1’234’567|98.4 %|−CHF 12.50, € 1’234’567|−$ 0.5|1.3 s",
	} {
		if got := strings.ReplaceAll(string(LocaleNamed(name).Write([]byte(strings.Join(texts, "|")))), nb, " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestLocaleOf(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "en-GB,en;q=0.9": "", "*": "", "de": "de", "de-DE,de;q=0.9,en;q=0.8": "de", "de-CH": "ch", "fr-CA;q=0.7, en;q=0.2": "fr",
		"en;q=0.5, nl-BE": "nl", "pt-BR": "nl", "pt-PT": "sv", "zh-Hant-TW": "", "hi-IN": "in", "DE_de": "", "de;q=x, fr": "fr", "xx;q=0, de;q=0": "",
		strings.Repeat("en;q=0.1,", 50) + "de": "", strings.Repeat("-", 1000): "",
	} {
		if got := LocaleOf(header).Name(); got != want {
			t.Errorf("%.40q: %q, want %q", header, got, want)
		}
	}
	for _, name := range languages {
		if name != "en" && LocaleNamed(name).Name() != name {
			t.Errorf("there is no style %q", name)
		}
	}
}

// FuzzLocale holds that whatever a user's text brings along, no mark of ours leaves,
// everything else does, and markup stays markup.
func FuzzLocale(f *testing.F) {
	f.Add("<b>"+money(flows.Money{"EUR": decimal.RequireFromString("1234.5")})+"</b>", "de")
	f.Add(markCurrency+"€", "de")
	f.Add(markCurrency+"a"+markCurrency+"b"+markAmount+markEnd+markEnd, "nl")
	f.Add(markCurrency+markPoint+markAmount+markEnd, "de")
	f.Add(markCurrency+"<b>"+markAmount+"1"+markEnd, "de")
	f.Add("\xef\xb7", "fr")
	f.Add("\ufdd8 kept", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		if !utf8.ValidString(text) {
			t.Skip()
		}
		got := LocaleNamed(name).Write([]byte(text))
		for _, mark := range []string{markPoint, markGroup, markThree, markLakh, markCurrency, markAmount, markEnd} {
			if bytes.Contains(got, []byte(mark)) {
				t.Errorf("%q became %q", text, got)
			}
		}
		for _, sign := range "<>&\"" {
			if strings.Count(text, string(sign)) != bytes.Count(got, []byte(string(sign))) {
				t.Errorf("%q became %q", text, got)
			}
		}
		if !utf8.Valid(got) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
