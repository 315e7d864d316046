package flows

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// learned is the `within` of a step whose deadline comes from its own past.
const learned = "learned"

var (
	objectiveFields = []string{"measure", "percentile", "below", "above", "over"}
	measures        = []string{"end_to_end", "compliance"}
)

func (p *parser) sampling(n *yaml.Node) bool {
	word := p.str(n, "sampling")
	if word != "" && word != "ok" {
		p.fault(n, "`sampling` cannot be `%s`; write `ok` where verdicts may rest on sampled spans, or leave it out", shortened(word))
		return false
	}
	return word == "ok"
}

// objectives are checked; nothing follows them yet.
func (p *parser) objectives(n *yaml.Node) {
	for _, e := range p.list(n, "objectives", "[{measure: end_to_end, percentile: 95, below: 3d, over: 30d}]") {
		if e.Kind != yaml.MappingNode {
			p.fault(e, "an objective must be a mapping, as {measure: compliance, above: 99.9%%, over: 30d}")
			continue
		}
		p.objective(e, p.fields(e, objectiveFields))
	}
	p.note(n, "objectives", "are taken, but not followed yet")
}

func (p *parser) objective(e *yaml.Node, fields map[string]*yaml.Node) {
	needs, refuses := []string{"over"}, []string{}
	switch measure := p.among(fields["measure"], "measure", measures); measure {
	case "end_to_end":
		needs, refuses = append(needs, "percentile", "below"), append(refuses, "above")
	case "compliance":
		needs, refuses = append(needs, "above"), append(refuses, "percentile", "below")
	case "":
		if fields["measure"] == nil {
			p.fault(e, "the objective has no `measure`; write one of %s", quoted(measures))
		}
		return
	}
	for _, field := range needs {
		if fields[field] == nil {
			p.fault(e, "the objective lacks `%s`; write {measure: end_to_end, percentile: 95, below: 3d, over: 30d} "+
				"or {measure: compliance, above: 99.9%%, over: 30d}", field)
		}
	}
	for _, field := range refuses {
		if fields[field] != nil {
			p.fault(fields[field], "`%s` says nothing of measure `%s`; leave it out", field, fields["measure"].Value)
		}
	}
	p.duration(fields["over"], "over")
	p.duration(fields["below"], "below")
	p.percent(fields["percentile"], "percentile", "95")
	p.percent(fields["above"], "above", "99.9%")
}

// percent is a number above 0 and below 100, with or without its sign.
func (p *parser) percent(n *yaml.Node, field, example string) {
	text := strings.TrimSpace(strings.TrimSuffix(p.str(n, field), "%"))
	if text == "" {
		return
	}
	if v, err := strconv.ParseFloat(text, 64); err != nil || !(v > 0 && v < 100) {
		p.fault(n, "`%s` cannot be `%s`; write a number between 0 and 100, as %s", field, shortened(n.Value), example)
	}
}
