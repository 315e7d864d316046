// Package views turns view values into HTML. Nothing here reads a clock, a store or a
// request: the same values give the same bytes, so a page and the socket that keeps it live
// share one component, and a rendering can be compared with the one before.
//
// A page is written in three moves:
//
//	page := views.FlowDetail{Clock: clock, Now: now, ...}
//	views.Document(shell, page.Body()).Render(ctx, w)       // the page
//	parts := slices.Concat(shell.Parts(), page.Parts())     // what its socket pushes
//
// # Live elements
//
// Parts lists the live elements of a page. Each is one element whose id is Part.ID; a
// socket sends it as
//
//	<hx-partial hx-target="#ID" hx-swap="outerMorph">…</hx-partial>
//
// The ids, which the style sheet and tests may rely on:
//
//	every page   page-version  (the page loads itself anew when its content changes)
//	             asof          (time of the numbers, in the live button #live)
//	             notices       (refused files, restoring, history away)
//	             nav-alerts, tab-alerts (count of open alerts)
//	/            overview-stats, alerts-open, flow-{name} for each flow
//	/ first run  first-run
//	/flows       flow-{name} for each flow
//	/flows/{f}   flow-head, flow-stats, flow-graph, flow-chart, flow-left, flow-stuck, flow-steps, and
//	             flow-variants, or player-alerts where a past instant is shown
//	/flows/{f}/variants  variants-head, variants-say, variants
//	/flows/{f}/steps/{s}  step-head, step-stats, step-instances
//	/systems     systems-stats, systems
//	/systems/{s} system-head, system-say, system-stats, system-chart, system-steps, system-names
//	/alerts      alerts-counts, alerts-open, alerts-resolved
//	/alerts/{id} alert-head, alert-verdict, alert-stats, alert-chart, alert-flow, alert-instances,
//	             alert-oncall, alert-log, alert-shared, alert-system
//	/instances/{f}/{key}  instance-head, instance-verdict, instance-timeline, instance-failure,
//	             instance-usual, instance-steps, instance-split, instance-signals
//
// Search, the entity timeline and the model are not live.
//
// # Socket messages that are not HTML
//
// {"type":"heartbeat","as_of":"2026-11-19T02:14:07Z","restoring":false,"now":1795054447000.5,
// "rtt_ms":0.8} keeps the live indicator live and moves the time beside it; as_of may be absent.
// The page answers {"echo":1795054447000.5,"shown_ms":[41.2]}: how long after the reception of
// a signal it was on the screen, for the updates since.
package views
