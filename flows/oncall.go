package flows

// Ack is a person's word that they look after an alert. The zero value is nobody's.
type Ack struct {
	By   string `json:"by"` // never empty once given
	Note string `json:"note"`
	At   Time   `json:"at"`
}

// Given says whether somebody has the alert.
func (a Ack) Given() bool { return a.By != "" }

// LogWord names what was done about an alert.
type LogWord string

// The words of an alert's log. Its beginning and its end are in the alert itself.
const (
	LogAcknowledged LogWord = "acknowledged"
	LogTakenBack    LogWord = "taken back"     // nobody has it any more
	LogSilenced     LogWord = "silenced"       // until LogEntry.Until
	LogSilenceEnded LogWord = "silence ended"  // before its time
	LogTold         LogWord = "told"           // a receiver was
	LogToldResolved LogWord = "told that over" // a receiver was told that it is over
)

// LogEntry is one thing that was done about an alert.
type LogEntry struct {
	At    Time    `json:"at"`
	What  LogWord `json:"what"`
	By    string  `json:"by"` // a person; of a notification its receiver, as alertmanager.yml names it
	Note  string  `json:"note"`
	Until Time    `json:"until"` // of a silence; else NoTime
}

// Episode is one time that an incident was open and over again.
type Episode struct {
	StartsAt, ResolvedAt Time
	Ack                  Ack // who had it
}

// Silence is a time in which nobody is told of an alert, because a person said so.
type Silence struct {
	ID    string `json:"id"` // Alertmanager's
	By    string `json:"by"`
	Why   string `json:"why"`
	From  Time   `json:"from"`
	Until Time   `json:"until"`
	// Own is true where it names all labels of its alert: it is of this alert alone, and can
	// be ended with it. One that names fewer may hold for others too.
	Own bool `json:"own"`
}
