package web

import (
	"errors"

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

// readingPage says that the page is on its way.
func (s *Server) readingPage(c views.Clock) loaded {
	return loaded{shell: s.shell(c, views.PlaceNone, "Reading history"), body: views.Reading{}.Body()}
}
