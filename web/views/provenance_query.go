package views

import (
	"strings"

	"throughline/flows"
)

// question is what the query behind a tile is about.
type question struct {
	flow   string // "" for all
	step   string
	system string
	reason flows.Reason // of an alert's members
	rng    Range
}

// queries are the tiles' numbers as SQL over Throughline's own tables: {flow}, {step}, {member},
// {system} and {ended}, {started}, {time} are what the page is about. The engine counts in memory
// and writes what changed within seconds, so that a query says the same a moment later.
var queries = map[string]string{
	"started":    "SELECT count() FROM instances FINAL\nWHERE {flow} AND {started}\n  AND (notEmpty(path) OR key IN (SELECT key FROM steps FINAL WHERE {flow} AND outcome = 'error'))",
	"in-flight":  "SELECT count() FROM instances FINAL\nWHERE {flow} AND state IN ('open', 'held', 'stuck', 'unknown')",
	"stuck":      "SELECT count() FROM instances FINAL\nWHERE {flow} AND state = 'stuck'",
	"completed":  "SELECT count() FROM instances FINAL\nWHERE {flow} AND state = 'completed' AND {ended}",
	"conforming": "SELECT countIf(conforming) / count() FROM instances FINAL\nWHERE {flow} AND state = 'completed' AND {ended}",
	"latency":    "SELECT quantileExactLow(0.5)(toUnixTimestamp64Nano(ended_at) - toUnixTimestamp64Nano(started_at)) / 1e9\nFROM instances FINAL\nWHERE {flow} AND state = 'completed' AND {ended}",
	"errors":     "SELECT count() FROM steps FINAL\nWHERE {flow} AND {step} AND outcome = 'error' AND {time}",
	"reached":    "SELECT count() FROM\n(\n  SELECT key, min(time) AS time FROM steps FINAL\n  WHERE {flow} AND {step} AND outcome = 'ok' GROUP BY key\n)\nWHERE {time}",
	"waiting":    "SELECT count() FROM instances FINAL\nWHERE {flow} AND state IN ('open', 'held', 'stuck', 'unknown') AND {waits}",
	"overdue":    "SELECT count() FROM instances FINAL\nWHERE {flow} AND state = 'stuck' AND {waits}\n  AND arrayExists((step, deadline) -> {step} AND deadline < now64(9), waiting_on.step, waiting_on.deadline)",
	"cohort":     "SELECT count() FROM instances FINAL\nWHERE {flow} AND state = 'stuck' AND {member}",
	"at-risk":    "SELECT currency, sum(toDecimal128OrZero(assumeNotNull(amount), 9)) FROM instances FINAL\nWHERE {flow} AND state = 'stuck' AND {member} AND isNotNull(amount)\nGROUP BY currency",
	"since":      "SELECT min(stuck_since) FROM instances FINAL\nWHERE {flow} AND state = 'stuck' AND {member}",
	"oldest":     "SELECT min(started_at) FROM instances FINAL\nWHERE {flow} AND state = 'stuck' AND {member}",

	"systems-live":    heardBySystem,
	"systems-silent":  heardBySystem,
	"systems-blind":   heardBySystem,
	"systems-rate":    "SELECT (SELECT count() FROM signals WHERE kind = 'event' AND as_of = 0 AND {system} AND {received})\n     + (SELECT count() FROM spans WHERE {service} AND {Received})",
	"systems-waiting": "SELECT system, count() FROM instances FINAL ARRAY JOIN waiting_on.system AS system\nWHERE state IN ('open', 'held', 'stuck', 'unknown') AND {system}\nGROUP BY system",
	"systems-skew":    "SELECT count() FROM signals\nWHERE as_of = 0 AND {system} AND {received}\n  AND (received < time - INTERVAL 1 HOUR OR received > time + INTERVAL 1 YEAR)",
	"system-heard":    "SELECT max(received) FROM signals WHERE as_of = 0 AND {system}",
	"system-delay":    "SELECT quantile(0.5)(toUnixTimestamp64Nano(received) - toUnixTimestamp64Nano(time)) / 1e9 FROM signals\nWHERE as_of = 0 AND {system} AND {received}",
	"system-clock":    "SELECT min(toUnixTimestamp64Nano(received) - toUnixTimestamp64Nano(time)) / 1e9 FROM signals\nWHERE as_of = 0 AND {system} AND {received}",
}

const heardBySystem = "SELECT system, max(received), count() FROM signals\nWHERE as_of = 0 AND {received} GROUP BY system ORDER BY system"

// unasked say why there is no one query.
var unasked = map[string]string{
	"needing":      "None: the flows whose health, in the answer for programs, is stuck, late or unknown.",
	"step-latency": "None in one statement: the step's time is compared with that of its last predecessor, instance by instance, in the fold of the flow's steps.",
	"skipped":      "None in one statement: what was skipped is found in the fold of each instance's steps; the list behind the number names them.",
	"bus-backlog":  "None: the bus is asked, not ClickHouse.",
	"limit":        "None: it stands in the flow file.",
}

// query is the SQL behind a number; "" where there is none.
func (q question) query(means string) string {
	text := queries[means]
	if text == "" {
		return ""
	}
	is := func(column, value string) string {
		if value == "" {
			return ""
		}
		return column + " = " + sqlText(value)
	}
	member := nonEmpty(is("reason_step", q.step), is("reason", string(q.reason)))
	waits := ""
	if q.step != "" {
		waits = "has(waiting_on.step, " + sqlText(q.step) + ")"
	}
	within := func(column string) string {
		if q.rng == RangeAll {
			return ""
		}
		return column + " >= now() - INTERVAL " + q.rng.interval()
	}
	for mark, words := range map[string]string{
		"{flow}": is("flow", q.flow), "{step}": is("step", q.step), "{system}": is("system", q.system), "{service}": is("ServiceName", q.system),
		"{member}": strings.Join(member, " AND "), "{waits}": waits, "{started}": within("started_at"), "{ended}": within("ended_at"), "{time}": within("time"),
		"{received}": "received >= now() - INTERVAL 60 MINUTE", "{Received}": "Received >= now() - INTERVAL 60 MINUTE",
	} {
		if words == "" {
			words = "true"
		}
		text = strings.ReplaceAll(text, mark, words)
	}
	return tidied(text)
}

// tidied takes out conditions that ask for nothing.
func tidied(text string) string {
	for _, idle := range []string{" AND true", "true AND ", "\nWHERE true", " WHERE true"} {
		text = strings.ReplaceAll(text, idle, "")
	}
	return text
}

// interval is the range as ClickHouse writes a length of time.
func (r Range) interval() string {
	switch r {
	case RangeQuarter:
		return "15 MINUTE"
	case RangeDay:
		return "24 HOUR"
	case RangeWeek:
		return "7 DAY"
	}
	return "60 MINUTE"
}

// sqlText is a literal of ClickHouse's SQL.
func sqlText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
