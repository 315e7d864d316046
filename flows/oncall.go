package flows

// Ack is a person's word that they look after an alert. The zero value is nobody's.
type Ack struct {
	By   string `json:"by"` // never empty once given
	Note string `json:"note"`
	At   Time   `json:"at"`
}

// Given says whether somebody has the alert.
func (a Ack) Given() bool { return a.By != "" }

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
