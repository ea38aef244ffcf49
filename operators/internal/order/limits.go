package order

import (
	"cmp"

	"github.com/tidemark-go/tidemark/operators/internal/setting"
)

// Limits bound a buffer. They have the fields of operators.Limits.
type Limits struct {
	Batches int
	Updates int
	Bytes   int64
}

// OrDefault returns the limits with defaults filled in.
//
// Errors: persist.ErrInvalid if one is below 0.
func (l Limits) OrDefault() (Limits, error) {
	err := cmp.Or(
		setting.OrDefault("operators.Limits.Batches", &l.Batches, 1024),
		setting.OrDefault("operators.Limits.Updates", &l.Updates, 1<<20),
		setting.OrDefault("operators.Limits.Bytes", &l.Bytes, 64<<20),
	)
	return l, err
}
