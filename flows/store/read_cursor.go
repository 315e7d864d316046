package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"throughline/flows"
)

// maxPage is the most rows that one page of a list holds.
const maxPage = 1000

// defaultPage is the page of a list without a limit.
const defaultPage = 50

// pageLimit is the number of rows asked for: defaultPage for none.
func pageLimit(limit int) (int, error) { return limitUpTo(limit, maxPage) }

func limitUpTo(limit, most int) (int, error) {
	switch {
	case limit == 0:
		return defaultPage, nil
	case limit < 0 || limit > most:
		return 0, &flows.InputError{Field: "limit", Detail: fmt.Sprintf("limit is %d; ask for 1 to %d", limit, most)}
	}
	return limit, nil
}

// encodeCursor makes the opaque text that continues a list after position.
func encodeCursor(position any) (string, error) {
	b, err := json.Marshal(position)
	if err != nil {
		return "", fmt.Errorf("encode cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// decodeCursor reads what encodeCursor made. Anything else is an InputError.
func decodeCursor(cursor string, position any) error {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(b, position)
	}
	if err != nil {
		return badCursor()
	}
	return nil
}

func badCursor() error {
	return &flows.InputError{
		Field: "cursor", Detail: "this cursor was not made by this list; use the next of the page before, or none to begin",
	}
}
