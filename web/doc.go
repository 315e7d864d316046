// Package web is what people and programs see of Throughline: the pages, the JSON API and
// the websockets that keep both up to date.
//
// What happens now comes from the Hub, which the engine publishes to; what happened comes
// from a History. A History that cannot answer takes nothing away from what is live: the
// pages say since when they are stale, and go on.
//
// A person's word about an alert (OnCall) is answered once the pages show it. What names the
// reader is in no live element: those are the same bytes for all who look at a page.
//
// Snapshot and subscription are one call under one lock (Hub.subscribe), so nothing is
// lost or doubled between a page and its socket. A slow socket gets the latest state, never
// a backlog. Each change is rendered once and its bytes are shared by all sockets.
package web
