package alert

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"throughline/flows"
)

// Alert is one incident as our own pages show it.
type Alert struct {
	flows.Cohort
	ID          string // fingerprint of the labels: stable while members come and go
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    flows.Time       // when the first member became stuck, as it was when it fired
	ResolvedAt  flows.Time       // NoTime while it fires
	Silenced    bool             // by a silence or an inhibition: nobody is told
	Ack         flows.Ack        // who looks after it; kept when it is resolved
	Silences    []flows.Silence  // that hold now, the last to end first
	Log         []flows.LogEntry // what was done about it, the latest last; a copy
	Earlier     []flows.Episode  // the times that it was open before, the latest first, as far as they are kept
}

// labelsOf is what a cohort is.
func labelsOf(c flows.Cohort) model.LabelSet {
	severity := "critical"
	if c.Reason == flows.ReasonIdle {
		severity = "warning"
	}
	labels := model.LabelSet{}
	for name, value := range map[model.LabelName]string{
		model.AlertNameLabel: "FlowStuck", "flow": c.Flow, "capability": c.Capability, "step": c.Step,
		"system": c.System, "reason": string(c.Reason), "owner": c.Owner, "severity": severity,
	} {
		if value != "" {
			labels[name] = model.LabelValue(strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	return labels
}

// annotationsOf is how a cohort stands at now.
func annotationsOf(c flows.Cohort, link string, now flows.Time) model.LabelSet {
	annotations := model.LabelSet{}
	for name, value := range map[model.LabelName]string{
		"summary": summary(c, now), "count": strconv.Itoa(c.Count), "since": c.Since.String(), "oldest": c.Oldest.String(),
		"value_at_risk": money(c.AtRisk, func(digits string) string { return digits }), "keys": strings.Join(c.Keys, ", "),
		"title": title(c), "step_title": stepTitle(c), "runbook_url": c.Runbook, "link": link,
	} {
		if value != "" {
			annotations[name] = model.LabelValue(strings.ToValidUTF8(value, "\uFFFD"))
		}
	}
	return annotations
}

// linkOf is the page of what the cohort waits for.
func linkOf(external string, c flows.Cohort) string {
	link := external + "/flows/" + url.PathEscape(c.Flow)
	if c.Step != "" {
		link += "/steps/" + url.PathEscape(c.Step)
	}
	return link
}

// summary is the sentence that wakes somebody: "Order to cash: 1,993 stuck at Invoice
// posted (erp) since 02:41 UTC, oldest 3 h, EUR 31,880.00 at risk".
func summary(c flows.Cohort, now flows.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s ", title(c), thousands(strconv.Itoa(c.Count)))
	switch {
	case c.Step == "":
		b.WriteString("idle")
	case c.Reason == flows.ReasonIdle:
		b.WriteString("idle before " + stepTitle(c))
	default:
		b.WriteString("stuck at " + stepTitle(c))
	}
	if c.System != "" {
		b.WriteString(" (" + c.System + ")")
	}
	if c.Since != flows.NoTime {
		layout := "15:04 UTC"
		if now.Sub(c.Since) >= 20*time.Hour {
			layout = "2006-01-02 15:04 UTC"
		}
		b.WriteString(" since " + c.Since.Std().Format(layout))
	}
	if c.Oldest != flows.NoTime {
		b.WriteString(", oldest " + age(now.Sub(c.Oldest)))
	}
	if sum := money(c.AtRisk, thousands); sum != "" {
		b.WriteString(", " + sum + " at risk")
	}
	return b.String()
}

func title(c flows.Cohort) string {
	if c.Title != "" {
		return c.Title
	}
	return c.Flow
}

func stepTitle(c flows.Cohort) string {
	if c.StepTitle != "" {
		return c.StepTitle
	}
	return c.Step
}

// money writes "EUR 31880.00, USD 5.00", each amount's digits passed through format.
func money(m flows.Money, format func(string) string) string {
	var sums []string
	for _, currency := range slices.Sorted(maps.Keys(m)) {
		sums = append(sums, currency+" "+format(flows.FormatAmount(currency, m[currency])))
	}
	return strings.Join(sums, ", ")
}

// thousands groups the digits before the point: 31880.00 is 31,880.00.
func thousands(number string) string {
	whole, fraction, dotted := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if dotted {
		whole += "." + fraction
	}
	return sign + whole
}

// age is d in its one unit that says enough at night.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(d, 0)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d d", d/(24*time.Hour))
}

func plain(labels model.LabelSet) map[string]string {
	m := make(map[string]string, len(labels))
	for name, value := range labels {
		m[string(name)] = string(value)
	}
	return m
}

func sameAlerts(a, b []Alert) bool {
	return slices.EqualFunc(a, b, func(x, y Alert) bool { return reflect.DeepEqual(x, y) })
}
