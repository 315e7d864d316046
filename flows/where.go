package flows

// Where is a compiled condition of a step's match.
type Where struct{}
