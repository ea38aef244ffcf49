package order

// Limits bound a buffer. They have the fields of operators.Limits.
type Limits struct {
	Batches int
	Updates int
	Bytes   int64
}

// OrDefault returns the limits with defaults filled in.
func (l Limits) OrDefault() Limits {
	if l.Batches <= 0 {
		l.Batches = 1024
	}
	if l.Updates <= 0 {
		l.Updates = 1 << 20
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	return l
}
