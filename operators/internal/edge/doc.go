// Package edge is how operators are wired to each other over go-streams' untyped
// channels. An [Outlet] and an [Inlet] start work when they are wired and not before, send
// under a context, and close once. [Errors] is the err side of an operator; it never makes
// the reporting side wait. Wrong wiring is an error and never a panic.
package edge
