package mining

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"throughline/flows"
)

const logsFolder = "../../../shared/data/logs"

// collect reads all rows; faults of rows are kept, another error ends it.
func collect(rows iter.Seq2[Row, error]) (all []Row, faults []string, err error) {
	for row, err := range rows {
		var fault *RowError
		switch {
		case errors.As(err, &fault):
			faults = append(faults, err.Error())
		case err != nil:
			return all, faults, err
		default:
			all = append(all, row)
		}
	}
	return all, faults, nil
}

// TestPublicLogs reads every public log in each of its forms.
func TestPublicLogs(t *testing.T) {
	for _, log := range []struct {
		name          string
		cases, events int
	}{ // the table of the data's README
		{"running-example", 6, 42},
		{"interval_event_log", 1266, 8109},
		{"receipt", 1434, 8577},
		{"bpic2013_closed", 1487, 6660},
		{"bpic2013_incidents", 7554, 65533},
		{"helpdesk", 4580, 21348},
		{"bpic2020_DomesticDeclarations", 10357, 55628},
		{"bpic2020_PermitLog", 6426, 81092},
		{"bpic2012", 13087, 262200},
		{"sap_o2c_vbfa_flattened", 10916, 31426},
	} {
		t.Run(log.name, func(t *testing.T) {
			if testing.Short() && log.events > 25_000 {
				t.Skip("large")
			}
			t.Parallel()
			files, _ := filepath.Glob(filepath.Join(logsFolder, log.name+".*"))
			if len(files) == 0 {
				t.Skip("no ../shared/data")
			}
			contents := map[string]string{}
			for _, file := range files {
				cases, events, sum := readLog(t, file)
				if cases != log.cases || events != log.events {
					t.Errorf("%s: %d cases and %d events, want %d and %d", file, cases, events, log.cases, log.events)
				}
				contents[sum] = filepath.Base(file)
			}
			if len(contents) != 1 {
				t.Errorf("the forms of one log differ: %v", contents)
			}
		})
	}
}

// readLog counts a log. sum is the same for the same (case, activity, time), in any order.
func readLog(t *testing.T, file string) (cases, events int, sum string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	var total uint64
	for row, err := range Read(f, "", Options{}) {
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		seen[row.Case] = true
		events++
		h := uint64(14695981039346656037)
		for _, c := range []byte(fmt.Sprintf("%s\x00%s\x00%d", row.Case, row.Activity, row.Time)) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		total += h
	}
	return len(seen), events, fmt.Sprint(total)
}

func TestCSV(t *testing.T) {
	text := "seq,case_id,activity,timestamp,lifecycle,amount\n" +
		"5,c1,place order,2015-01-05T09:02:50Z,complete,\n" +
		"6, c2 ,\"pay, now\",2015-01-05T10:02:50.5+01:00,,40.10\n"
	rows, faults, err := collect(CSV(strings.NewReader(text), Options{}))
	if err != nil || len(faults) > 0 || len(rows) != 2 {
		t.Fatal(rows, faults, err)
	}
	at := time.Date(2015, 1, 5, 9, 2, 50, 0, time.UTC)
	a, b := rows[0], rows[1]
	if a.Case != "c1" || a.Activity != "place order" || a.Time != flows.At(at) || a.Sequence != "5" || a.Line != 2 ||
		len(a.Attributes) != 1 || a.Attributes["lifecycle"] != "complete" {
		t.Errorf("%+v", a)
	}
	if b.Case != "c2" || b.Activity != "pay, now" || b.Time != flows.At(at.Add(500*time.Millisecond)) || b.Line != 3 || b.Attributes["amount"] != "40.10" {
		t.Errorf("%+v", b)
	}
}

func TestCSVColumns(t *testing.T) {
	f := func(header string, o Options, want string) {
		t.Helper()
		rows, faults, err := collect(CSV(strings.NewReader(header+"\n"+strings.Repeat("x;2020-01-01;y;7\n", 1)), o))
		if want == "" {
			if err != nil || len(faults) > 0 || len(rows) != 1 {
				t.Errorf("%s: %v %v %v", header, rows, faults, err)
			} else if r := rows[0]; r.Case != "x" || r.Activity != "y" || r.Time.String() != "2020-01-01T00:00:00Z" {
				t.Errorf("%s: %+v", header, r)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", header, err, want)
		}
	}
	f("case_id;timestamp;activity;seq", Options{}, "")
	f("case:concept:name;time:timestamp;concept:name;x", Options{}, "")
	f("Case ID;Complete Timestamp;Activity;Resource", Options{}, "")
	f("\xef\xbb\xbfcase;time;event;", Options{}, "")
	f("a;b;c;d", Options{Case: "a", Time: "b", Activity: "c"}, "")
	f("a;b;c;d", Options{Case: "a", Time: "b", Activity: "c", Sequence: "e"}, `no column "e" for the sequence; the columns are ["a" "b" "c" "d"]`)
	f("a;b;c;d", Options{}, `no column holds the case: none is named case:concept:name, case_id`)
	f("case;b;c;d", Options{}, `say which of these does: ["case" "b" "c" "d"]`)
	f("case;case;c;d", Options{}, `two columns are named "case"`)
	f("case;time;\xff;d", Options{}, "not UTF-8")
	f(strings.Repeat("c;", 2000), Options{}, "at most 1024")
}

func TestCSVFaultyRows(t *testing.T) {
	head := "case_id,activity,timestamp\n"
	f := func(line, want string) {
		t.Helper()
		rows, faults, err := collect(CSV(strings.NewReader(head+line+"\nc,a,2020-01-01\n"), Options{}))
		if err != nil || len(rows) != 1 || len(faults) != 1 || !strings.HasPrefix(faults[0], "line 2: ") || !strings.Contains(faults[0], want) {
			t.Errorf("%q: %v %v %v; want %s", shorten(line), rows, faults, err, want)
			return
		}
		if rows[0].Sequence != "1" {
			t.Errorf("%q: the row after it is number %s", line, rows[0].Sequence)
		}
	}
	f("c,a", "2 fields; the header has 3")
	f("c,a,b,d", "4 fields")
	f("c,a,yesterday", `"yesterday" is no time`)
	f("c,a,", "the time is empty")
	f("c,a,1899-12-31", "outside 1900 to 2262")
	f("c,a,2262-01-01", "outside 1900 to 2262")
	f("c,a,9999-12-31T23:59:59Z", "outside 1900 to 2262")
	f(",a,2020-01-01", "the case is empty")
	f("c, ,2020-01-01", "the activity is empty")
	f("c\x00,a,2020-01-01", "NUL byte")
	f("c,\xff,2020-01-01", "not UTF-8")
	f("c,a\"b,2020-01-01", `bare "`)
	f(strings.Repeat("c", 1025)+",a,2020-01-01", "the case has 1025 bytes")
	f("c,"+strings.Repeat("a", 1025)+",2020-01-01", "the activity has 1025 bytes")
}

func shorten(s string) string { return s[:min(len(s), 80)] }

func TestReadEnds(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, _, err := collect(Read(strings.NewReader(text), "", Options{}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", shorten(text), err, want)
		}
	}
	f("", "the file is empty")
	f("\x1f\x8bxx", "gzip")
	f("case_id,activity,timestamp\n\"x"+strings.Repeat("y", 2<<20), "one record has more than 1048576 bytes")
	f("<log", "line 1: unexpected EOF")
	f("<html></html>", "starts with <html>")
	f("<?xml version='1.0'?>", "no <log>")
	f("<log><trace>\n<event>", "line 2: the file ends inside <event>")
	f("<log></trace>", "closes what is not open")
	f("<log></log><log></log>", "<log> stands after the end")
	f("<log>"+strings.Repeat("<a>", 40), "nest deeper than 32")
	f("<log><string key='"+strings.Repeat("x", 2<<20)+"'/></log>", "one record has more than")
	f("<!DOCTYPE log [<!ENTITY a 'aaa'><!ENTITY b '&a;&a;'>]><log><string key='&b;' value=''/></log>", "invalid character entity &b;")
	f("<!DOCTYPE log [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><log>&x;</log>", "invalid character entity &x;")
	f("<log>\xff</log>", "invalid UTF-8")

	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, "case_id,activity,timestamp\nc,a,2020-01-01\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f(z.String()[:z.Len()-4], "unexpected EOF")
	if rows, faults, err := collect(Read(&z, "", Options{})); len(rows) != 1 || len(faults) > 0 || err != nil {
		t.Error(rows, faults, err)
	}
	if _, _, err := collect(Read(strings.NewReader("x"), "ocel", Options{})); err == nil {
		t.Error("an unknown format is taken")
	}
}

// TestGzipBomb: what unpacks to very much is read in bounded memory, and refused.
func TestGzipBomb(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, "case_id,activity,timestamp\n\"")
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, _ = w.Write(zeros)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := collect(Read(&z, "", Options{})); err == nil || !strings.Contains(err.Error(), "one record has more") {
		t.Error(err)
	}
}

const smallXES = `<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="x"/>
  <global scope="event"><string key="concept:name" value="name"/></global>
  <string key="origin" value="csv"/>
  <trace>
    <string key="concept:name" value="c1"/>
    <float key="amount" value="40.5"><string key="currency" value="EUR"/></float>
    <event>
      <string key="concept:name" value="pay &amp; go"/>
      <date key="time:timestamp" value="2012-10-09T14:50:17.000+02:00"/>
      <int key="n" value="7"/><boolean key="ok" value="true"/><int key="bad" value="x"/><float key="nan" value="NaN"/>
      <list key="tags"><values><string key="a" value="1"/></values></list>
    </event>
    <event><string key="concept:name" value="no time"/></event>
    <event><date key="time:timestamp" value="2012-10-09T14:50:18Z"/><string key="concept:name" value="end"/></event>
  </trace>
  <trace><event><date key="time:timestamp" value="2012-10-09T14:50:18Z"/><string key="concept:name" value="end"/></event></trace>
</log>
`

func TestXES(t *testing.T) {
	rows, faults, err := collect(XES(strings.NewReader(smallXES), Options{}))
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, faults, err)
	}
	want := []string{
		`line 15: the event has no time (time:timestamp); it has ["case:amount" "case:amount:currency"]`,
		`line 18: the event has no case (case:concept:name); it has ["concept:name" "time:timestamp"]`,
	}
	if !slices.Equal(faults, want) {
		t.Errorf("faults %q", faults)
	}
	r := rows[0]
	attributes := map[string]any{
		"case:amount": 40.5, "case:amount:currency": "EUR", "n": int64(7), "ok": true, "bad": "x", "nan": "NaN", "tags:a": "1",
	}
	if r.Case != "c1" || r.Activity != "pay & go" || r.Time.String() != "2012-10-09T12:50:17Z" || r.Sequence != "0" || r.Line != 9 ||
		fmt.Sprint(r.Attributes) != fmt.Sprint(attributes) {
		t.Errorf("%+v", r)
	}
	if rows[1].Sequence != "2" || rows[1].Activity != "end" {
		t.Errorf("%+v", rows[1])
	}
	rows, faults, err = collect(XES(strings.NewReader(smallXES), Options{Case: "amount", Activity: "tags:a", Sequence: "n"}))
	if err != nil || len(rows) != 1 || rows[0].Case != "40.5" || rows[0].Activity != "1" || rows[0].Sequence != "7" {
		t.Error(rows, faults, err)
	}
}

func TestReadStopsEarly(t *testing.T) {
	for _, text := range []string{smallXES, "case_id,activity,timestamp\nc,a,2020-01-01\nc,a,2020-01-01\n"} {
		n := 0
		for range Read(strings.NewReader(text), "", Options{}) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d rows", n)
		}
	}
}

func TestToSignal(t *testing.T) {
	flow := &flows.Flow{Name: "receipt", Key: "case_id"}
	signals := func(text string) (list []flows.Signal) {
		var c Counter
		for row, err := range Read(strings.NewReader(text), "", Options{}) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, ToSignal(flow, &row, c.Next(&row)))
		}
		return list
	}
	text := "case_id,activity,timestamp,x\nc,a,2020-01-01,1\nc,a,2020-01-01,1\nc,a,2020-01-01,2\nc,b,2020-01-01,1\n"
	list := signals(text)
	s := list[0]
	if s.Kind != flows.Event || s.Name != "a" || s.Source != "import/receipt" || s.Sequence != "0" || s.Attributes["case_id"] != "c" || s.Attributes["x"] != "1" {
		t.Errorf("%+v", s)
	}
	ids := map[string]int{}
	for _, s := range list {
		ids[s.ID]++
	}
	if len(ids) != 4 || !strings.HasSuffix(list[1].ID, "-2") || strings.TrimSuffix(list[1].ID, "-2") != strings.TrimSuffix(s.ID, "-1") {
		t.Errorf("ids %v", ids)
	}
	again := signals(text)
	swapped := signals("x,timestamp,activity,case_id\n1,2020-01-01,a,c\n1,2020-01-01,a,c\n2,2020-01-01,a,c\n1,2020-01-01,b,c\n")
	for i := range list {
		if again[i].ID != list[i].ID || swapped[i].ID != list[i].ID {
			t.Errorf("row %d: ids %s, %s, %s", i, list[i].ID, again[i].ID, swapped[i].ID)
		}
	}
}

func TestTimes(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var c clock
		got, err := c.parse(text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	f("2011-10-11T13:45:40.276+02:00", "2011-10-11T11:45:40.276Z")
	f("2011-10-11 13:45:40.276000+02:00", "2011-10-11T11:45:40.276Z")
	f("2011-10-11 13:45:40,276", "2011-10-11T13:45:40.276Z")
	f("2011-10-11T13:45:40+0200", "2011-10-11T11:45:40Z")
	f("2011-10-11 13:45:40 +0200", "2011-10-11T11:45:40Z")
	f("2011-10-11 13:45:40 UTC", "2011-10-11T13:45:40Z")
	f("2011/10/11 13:45", "2011-10-11T13:45:00Z")
	f("11.10.2011 13:45:40", "2011-10-11T13:45:40Z")
	f("30-12-2010:11.02", "2010-12-30T11:02:00Z")
	f(" 2011-10-11 ", "2011-10-11T00:00:00Z")
	f("1318333540", "2011-10-11T11:45:40Z")
	f("1318333540276", "2011-10-11T11:45:40.276Z")
	f("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z")
	f("2261-12-31T23:59:59Z", "2261-12-31T23:59:59Z")
	for _, bad := range []string{"", "10/11/2011", "2011-13-01", "2011-02-30", "13:45", "1", "-5", strings.Repeat("1", 100)} {
		if got, err := (&clock{}).parse(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// fuzzRead: whatever the bytes, reading ends, no row breaks a limit, and reading again
// gives the same.
func fuzzRead(t *testing.T, b []byte, format string) {
	read := func() (rows []Row, text string) {
		rows, faults, err := collect(Read(bytes.NewReader(b), format, Options{}))
		return rows, fmt.Sprint(len(rows), faults, err)
	}
	rows, first := read()
	again, second := read()
	if first != second {
		t.Fatalf("%s, then %s", first, second)
	}
	flow := &flows.Flow{Name: "f", Key: "case_id"}
	var c, d Counter
	for i := range rows {
		r := &rows[i]
		if r.Case == "" || r.Activity == "" || r.Time == flows.NoTime || len(r.Attributes) >= flows.MaxAttributes {
			t.Fatalf("%+v", r)
		}
		s := ToSignal(flow, r, c.Next(r))
		if u := ToSignal(flow, &again[i], d.Next(&again[i])); s.ID != u.ID {
			t.Fatalf("%s, then %s", s.ID, u.ID)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("seq,case_id,activity,timestamp\n5,c1,a,2015-01-05T09:02:50Z\n"))
	f.Add([]byte("\xef\xbb\xbfCase ID;Activity;Time\n\"c\"\"1\";a;1318333540\n\n;;\n"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRead(t, b, "csv") })
}

func FuzzXES(f *testing.F) {
	f.Add([]byte(smallXES))
	f.Add([]byte("<!DOCTYPE log [<!ENTITY a 'a'>]><log>&a;</log>"))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzRead(t, b, "xes") })
}

func BenchmarkCSV(b *testing.B) {
	benchmarkRead(b, "bpic2020_DomesticDeclarations.events.csv.gz")
}

func BenchmarkXES(b *testing.B) { benchmarkRead(b, "bpic2020_DomesticDeclarations.xes.gz") }

func benchmarkRead(b *testing.B, name string) {
	file, err := os.ReadFile(filepath.Join(logsFolder, name))
	if err != nil {
		b.Skip("no ../shared/data")
	}
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		for _, err := range Read(bytes.NewReader(file), "", Options{}) {
			if err != nil {
				b.Fatal(err)
			}
			events++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
