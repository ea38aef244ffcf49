// Package edge is how operators are wired to each other over go-streams' untyped
// channels: an [Outlet] and an [Inlet] that start work when they are wired and not
// before, send under a context, close once, and turn wrong wiring into errors; and
// [Errors], the outlet of an err side, which never makes the one who reports wait.
package edge
