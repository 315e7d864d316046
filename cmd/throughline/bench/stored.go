package bench

import _ "embed" // for StoredFile and FillSQL

// StoredFile is the flow of the history that FillSQL makes.
//
//go:embed stored.yaml
var StoredFile []byte

// FillSQL are statements, with a semicolon between two, that make history inside ClickHouse.
//
//go:embed fill.sql
var FillSQL string
