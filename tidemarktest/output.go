package tidemarktest

import (
	"errors"
	"fmt"

	"github.com/tidemark-go/tidemark/persist"
)

// look checks the output at its newest sealed time, or at all of them.
func (x *exercise[K, V, K2, V2]) look(all bool) error {
	if err := x.checkAlive(); err != nil {
		return err
	}
	if x.client == nil || x.down {
		return nil
	}
	snapshot, err := x.read.Snapshot(x.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = snapshot.Close() }()
	upper := snapshot.Upper()
	if upper.LessThan(x.sealed) {
		return fmt.Errorf("the output was sealed to %s, and now to %s", x.sealed, upper)
	}
	if !all && upper == x.sealed {
		return nil
	}
	x.sealed = upper
	t, ok := upper.Elem()
	if !all && (!ok || t > x.upper) {
		return fmt.Errorf("false seal: the output is sealed to %s, the input to {%d}", upper, x.upper)
	}
	rows, err := snapshot.ReadToEnd(x.ctx)
	if err != nil {
		return err
	}
	last := t
	if !ok {
		last = x.upper + 6
	}
	first, _ := snapshot.Since().Elem()
	if !all && last > 0 {
		first = max(first, last-1)
	}
	for t := first; t < last; t++ {
		if err := x.compare(t, rows); err != nil {
			return err
		}
	}
	return nil
}

// compare compares the output as of a time with what is wanted.
func (x *exercise[K, V, K2, V2]) compare(t uint64, rows []persist.Update[K2, V2]) error {
	x.tally.compared++
	var input []persist.Update[K, V]
	for _, u := range x.input {
		if u.Time <= t {
			input = append(input, u)
		}
	}
	difference := make(map[string]int64)
	names := make(map[string]string)
	count := func(u persist.Update[K2, V2], sign int64) error {
		row, _, err := persist.EncodeRow(nil, x.OutputKey, x.OutputVal, &u)
		if err != nil {
			return err
		}
		id := fmt.Sprintf("%q %q", row.Key, row.Val)
		difference[id] += sign * u.Diff
		names[id] = fmt.Sprintf("(%v, %v)", u.Key, u.Val)
		return nil
	}
	var err error
	for _, u := range x.Want(t, input) {
		err = errors.Join(err, count(u, -1))
	}
	for _, u := range rows {
		if u.Time <= t {
			err = errors.Join(err, count(u, 1))
		}
	}
	if err != nil {
		return err
	}
	if text := differences(difference, names); text != "" {
		return fmt.Errorf("the output, sealed to %s, is not what Want says of the input up to time %d (- missing, + too many):\n%s", x.sealed, t, text)
	}
	return nil
}
