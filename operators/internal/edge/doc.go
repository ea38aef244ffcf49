// Package edge wires operators to each other over go-streams' untyped channels. An [Outlet]
// or an [Inlet] starts its operator when it is wired, and not before. Sends end with a
// context, and each channel is closed once. [Errors] is the err side of an operator: to
// report an error never blocks. Wrong wiring is an error and never a panic.
package edge
