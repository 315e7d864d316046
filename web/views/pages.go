package views

import (
	"cmp"
	"slices"
	"time"

	"github.com/a-h/templ"

	"throughline/flows"
)

// FlowNow is a flow with its numbers.
type FlowNow struct {
	Flow   *flows.Flow
	Health flows.Health // for the page's range; in flight, stuck and the like are now
	Range  Range        // what Health covers
	At     flows.Time   // the instant of everything in hindsight; NoTime or 0 for now
	// InFlight and Stuck are how many there were at the end of each of the last minutes,
	// oldest first, whatever the range; both are empty where nothing is known.
	InFlight, Stuck []float64
	// ImportedAsOf is the clock of a flow that holds imported signals only; else NoTime or 0.
	ImportedAsOf flows.Time
	// Had are the steps whose open alerts somebody has, or nobody is told of: they are drawn
	// calm. "" stands for an alert of the whole flow.
	Had map[string]bool
	// Capability is the title of the one that it belongs to; "" where only its id is known, or there is none.
	Capability string
	// Coverage is how many of its signals found their instance; nil where not known.
	Coverage *Coverage
	// Usual is how the flow usually is in this hour; nil while that is not read, and where nothing is compared.
	Usual *Usual
}

// Coverage says, of the signals that steps of a flow match, how many found their instance since
// the process began, and why the others did not. Copies do not count.
type Coverage struct {
	Signals int
	Joined  int // are in an instance
	Waiting int // for a link to an instance
	GivenUp int // waited for too long, or among too many
	Keyless int // carried no key of the flow
}

// Alert is one incident: a cohort that is, or was, stuck.
type Alert struct {
	flows.Cohort
	ID         string
	StartsAt   flows.Time
	ResolvedAt flows.Time       // NoTime or 0 while it fires
	Silenced   bool             // nobody is told
	Ack        flows.Ack        // who has it
	Silences   []flows.Silence  // that hold now, the last to end first
	Log        []flows.LogEntry // what was done about it, the latest last
	Earlier    []flows.Episode  // the times that it was open before, the latest first, as far as they are kept
	Acts       bool             // it can be acknowledged and silenced here
	Limit      time.Duration    // the step's within, or the flow's idle; 0 where not known
	Key        string           // type of the flow's primary key, which names its instances; may be empty
}

// Overview is the page /.
type Overview struct {
	Clock
	Range  Range
	Flows  []FlowNow // in any order
	Alerts []Alert   // open ones, in the order in which they are shown
	// What stands beside the flows: started and completed over the range in all of them, the
	// systems by name, and what happened lately. Nil where not known.
	Started *flows.Series
	Systems []SystemNow
	Changes []Change
}

// Body is the page without its frame.
func (v Overview) Body() templ.Component { return overviewBody(v) }

// Parts are the live elements.
func (v Overview) Parts() []Part {
	parts := []Part{
		{"overview-stats", OverviewStats(v)},
		{"alerts-open", AlertCards(v.Clock, v.Alerts, mostCardsBeside)},
		{"overview-chart", OverviewChart(v)},
		{"overview-systems", OverviewSystems(v)},
		{"overview-changes", OverviewChanges(v)},
	}
	return append(parts, rowParts(v.Clock, v.Flows)...)
}

// FlowList is the page /flows: all flows without the alerts.
type FlowList struct {
	Clock
	Range Range
	Flows []FlowNow
}

// Body is the page without its frame.
func (v FlowList) Body() templ.Component { return flowListBody(v) }

// Parts are the live elements.
func (v FlowList) Parts() []Part { return rowParts(v.Clock, v.Flows) }

func rowParts(c Clock, list []FlowNow) []Part {
	var parts []Part
	for _, f := range list {
		parts = append(parts, Part{domID("flow-", f.Flow.Name), FlowRow(c, f)})
	}
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Compare(a.ID, b.ID) })
	return parts
}

// FirstRun is the page / while there is no flow, or nothing was ever received.
type FirstRun struct {
	Clock
	EventsURL string // POST /api/v1/events in full, with scheme and host as the reader asked for it
	OTLPHTTP  string // host:port; "" where it does not run
	OTLPGRPC  string // host:port; "" where it does not run
	Tokens    bool   // senders are asked for one
	ConfigDir string // where flows/*.yaml go
	Flows     int    // flow files that are in force
	Accepted  uint64 // signals since the data folder was made
	Last      flows.Time
	Seen      []flows.SeenSignal            // latest first
	Wanted    func(flows.Kind, string) bool // whether a flow wants signals of that name; nil is no
}

// Body is the page without its frame.
func (v FirstRun) Body() templ.Component { return firstRunBody(v) }

// Parts are the live elements.
func (v FirstRun) Parts() []Part { return []Part{{"first-run", FirstRunSteps(v)}} }

// FlowDetail is the page /flows/{flow}.
type FlowDetail struct {
	Clock
	Now      FlowNow
	Graph    *Graph              // nil: laid out anew from Now
	Variants *flows.Variants     // nil where history cannot be read
	Stuck    *flows.InstancePage // stuck ones, longest first; nil where history cannot be read
	Alerts   []Alert             // open ones of this flow
	Releases []flows.Release     // of its services over the range and the hour that is played
	Series   *flows.Series       // what started and ended over the range; nil where not known
	Player   *Player             // nil for what is live
	Hour     *flows.Series       // of the hour that is played; nil where not known
	Opened   []Alert             // those that opened in the hour that is played
}

// Body is the page without its frame.
func (v FlowDetail) Body() templ.Component { return flowBody(v) }

// Parts are the live elements.
func (v FlowDetail) Parts() []Part {
	parts := []Part{
		{"flow-head", FlowHead(v)},
		{"flow-stats", FlowStats(v)},
		{"flow-graph", FlowGraph(v)},
		{"flow-chart", FlowChart(v)},
		{"flow-left", LeftPanel(v)},
		{"flow-stuck", StuckPanel(v)},
		{"flow-steps", StepsTable(v)},
	}
	if v.Player != nil {
		return append(parts, Part{"player-alerts", PlayerAlerts(v)})
	}
	return append(parts, Part{"flow-variants", VariantsPanel(v)})
}

// StepDetail is the page /flows/{flow}/steps/{step}.
type StepDetail struct {
	Clock
	Now       FlowNow
	Step      int                 // position in Now.Flow.Steps
	Instances *flows.InstancePage // those that wait for the step, longest first; nil where history cannot be read
	Alerts    []Alert             // open ones of this step
}

// Body is the page without its frame.
func (v StepDetail) Body() templ.Component { return stepBody(v) }

// Parts are the live elements.
func (v StepDetail) Parts() []Part {
	return []Part{
		{"step-head", StepHead(v)},
		{"step-stats", StepStats(v)},
		{"step-instances", StepInstances(v)},
	}
}

// InstanceList is the page /flows/{flow}/instances.
type InstanceList struct {
	Clock
	Now    FlowNow
	Query  flows.InstanceQuery
	Since  string              // as it was asked: an instant, or a length of time ago; "" for no bound
	Window string              // as it was asked, where Query.Counted is: a length of time, or all
	Page   *flows.InstancePage // nil where history cannot be read
	AtPast bool                // in hindsight at Query.At
}

// Body is the page without its frame.
func (v InstanceList) Body() templ.Component { return instanceListBody(v) }

// Parts are the live elements.
func (v InstanceList) Parts() []Part { return []Part{{"list", ListPanel(v)}} }

// AlertList is the page /alerts.
type AlertList struct {
	Clock
	Open     []Alert
	Resolved []Alert // latest first
}

// Body is the page without its frame.
func (v AlertList) Body() templ.Component { return alertListBody(v) }

// Parts are the live elements.
func (v AlertList) Parts() []Part {
	return []Part{
		{"alerts-counts", AlertCounts(v)},
		{"alerts-open", AlertCards(v.Clock, v.Open, mostCards)},
		{"alerts-more", MoreAlerts(v)},
		{"alerts-resolved", ResolvedAlerts(v)},
	}
}

// AlertDetail is the page /alerts/{id}.
type AlertDetail struct {
	Clock
	Alert     Alert
	Now       *FlowNow            // nil where the flow is gone
	Instances *flows.InstancePage // the cohort's members, longest first; nil where history cannot be read
	Waits     Waits               // for the alert's step
	Tries     []flows.Tries       // of the alert's step, from an hour before its first member waited
	Shared    []flows.SharedValue // by the stuck; nil where history cannot be read
	System    *SystemNow          // that is waited for; nil where the alert names none
	Changes   []Change            // before it began, the nearest first; nil where history cannot be read
	Reader    string              // the reader's name, "" where it is not known; no live element shows it
}

// Body is the page without its frame.
func (v AlertDetail) Body() templ.Component { return alertBody(v) }

// Parts are the live elements.
func (v AlertDetail) Parts() []Part {
	parts := []Part{
		{"alert-head", AlertHead(v)},
		{"alert-verdict", AlertVerdict(v)},
		{"alert-stats", AlertStats(v)},
		{"alert-chart", AlertChart(v)},
		{"alert-changes", AlertChanges(v)},
		{"alert-instances", AlertInstances(v)},
		{"alert-oncall", AlertOnCall(v)},
		{"alert-log", AlertLog(v)},
		{"alert-system", AlertSystem(v)},
		{"alert-shared", AlertShared(v)},
	}
	if v.Now != nil {
		parts = append(parts, Part{"alert-flow", AlertFlow(v)})
	}
	return parts
}

// InstanceTimeline is the page /instances/{flow}/{key}.
type InstanceTimeline struct {
	Clock
	Flow   *flows.Flow
	Detail flows.InstanceDetail
	Alerts []Alert           // open ones of the step that it waits for
	Usual  *FlowNow          // the flow's numbers, to compare with; nil where not known
	Said   map[string]string // what failed spans said, by flows.Signal.ID
	Common []flows.Key       // of its keys: linked to so many others that their links are void
	// Before and After are its neighbours among the stuck of its step; "" for none.
	Before, After string
	Resolves      bool   // a person can say that it was fixed by hand
	Reader        string // the reader's name, "" where it is not known; no live element shows it
	AtPast        bool   // shown in hindsight: Clock.Now is the instant asked for
}

// Body is the page without its frame.
func (v InstanceTimeline) Body() templ.Component { return instanceBody(v) }

// Parts are the live elements.
func (v InstanceTimeline) Parts() []Part {
	return []Part{
		{"instance-head", InstanceHead(v)},
		{"instance-verdict", InstanceVerdict(v)},
		{"instance-timeline", InstanceWaterfall(v)},
		{"instance-failure", InstanceFailure(v)},
		{"instance-usual", InstanceUsual(v)},
		{"instance-split", InstanceSplit(v)},
		{"instance-steps", InstanceSteps(v)},
		{"instance-signals", InstanceSignals(v)},
	}
}

// SearchResults is the page /search.
type SearchResults struct {
	Clock
	Query string        // "" asks for nothing yet
	Flows []FlowNow     // found by name or title, with numbers where there are any
	Found flows.Found   // Found.Flows is not read
	Known []*flows.Flow // for the titles of instances' flows
	Took  time.Duration
}

// Body is the page without its frame.
func (v SearchResults) Body() templ.Component { return searchBody(v) }

// EntityTimeline is the page /entities/{type}/{value}.
type EntityTimeline struct {
	Clock
	Key     flows.Key
	Signals []flows.Signal // in order of time
	Next    string         // cursor of the next page; "" at the end
	Known   []*flows.Flow  // flows whose instances the keys may name
}

// Body is the page without its frame.
func (v EntityTimeline) Body() templ.Component { return entityBody(v) }

// Problem is the page for what cannot be shown: 404 and the like.
type Problem struct {
	Status int
	Title  string // "There is no flow orders"
	Text   string // what to do
	There  []Link // what there is instead
}

// Link leads to a page of ours.
type Link struct {
	Text, Href string
	Note       string // beside it; may be empty
}

// Body is the page without its frame.
func (v Problem) Body() templ.Component { return problemBody(v) }

// Reading is the page for what is not read from history yet. It is followed by the page that was asked for.
type Reading struct{}

// Body is the page without its frame.
func (Reading) Body() templ.Component { return readingBody() }

// Components is the page /_/components: every component in every state, once.
type Components struct {
	Clock
}

// Body is the page without its frame.
func (v Components) Body() templ.Component { return componentsBody(v) }
