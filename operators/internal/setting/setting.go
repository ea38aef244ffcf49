// Package setting checks the numbers that options of operators set. One rule holds for all
// of them: see package operators, "Options".
package setting

import (
	"fmt"
	"time"

	"github.com/tidemark-go/tidemark/persist"
)

// OrDefault puts the default in place of 0, and refuses a number below 0 with
// persist.ErrInvalid. An option for which such a number means none does not call OrDefault
// with it. The name is the option that the user has called.
func OrDefault[T int | int64 | time.Duration](name string, value *T, standard T) error {
	switch {
	case *value == 0:
		*value = standard
	case *value < 0:
		return fmt.Errorf("tidemark: %w: %s is %v: it must be above 0, or 0 for its default, %v", persist.ErrInvalid, name, *value, standard)
	}
	return nil
}
