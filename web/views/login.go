package views

// Login is the page where a token is exchanged for a session.
type Login struct {
	Next   string // path to go to afterwards
	Fault  string // what was wrong with the try before; "" for nothing
	Name   string // of the token that is signed in with; "" for nobody
	Scope  string // of that token
	Assets Assets
}

func (v Login) shell() Shell { return Shell{Title: "Sign in", Assets: v.Assets} }
