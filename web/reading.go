package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"throughline/web/views"
)

// errUnread says that what a page is about has not been read from history yet: it is not there in time.
var errUnread = errors.New("not read from history yet")

// unreadOr is errUnread where an answer is on its way, else fault.
func (p *past) unreadOr(fault *Problem) error {
	if p.unread.Load() {
		return errUnread
	}
	return fault
}

// patienceOf is how long a page is waited for: a moment, or as long as the client says by "Prefer: wait=10" (RFC 7240).
// The page's own script asks so for what was not there.
func patienceOf(r *http.Request) time.Duration {
	for _, line := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(preference), "=")
			if seconds, err := strconv.Atoi(strings.Trim(value, `" `)); err == nil && seconds > 0 && strings.EqualFold(strings.TrimSpace(name), "wait") {
				return min(time.Duration(min(seconds, 3600))*time.Second, historyWithin)
			}
		}
	}
	return waitFirst
}

// readingPage says that the page is on its way.
func (s *Server) readingPage(c views.Clock) loaded {
	return loaded{shell: s.shell(c, views.PlaceNone, "Reading history"), body: views.Reading{}.Body()}
}
