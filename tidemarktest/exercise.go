package tidemarktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tidemark-go/tidemark/frontier"
	"github.com/tidemark-go/tidemark/persist"
)

// exercise is a pipeline under test.
type exercise[K, V, K2, V2 any] struct {
	Pipeline[K, V, K2, V2]
	ctx     context.Context
	store   Store
	opts    Options
	virtual bool
	random  *rand.Rand
	done    []string // in words, to print with a failure
	tally   tally

	client *persist.Client // nil while none is open
	write  *persist.WriteHandle[K, V]
	read   *persist.ReadHandle[K2, V2]
	input  []persist.Update[K, V] // acknowledged
	live   []persist.Update[K, V] // of a table: rows that were added and not taken back
	upper  uint64                 // of the input
	sealed frontier.Antichain     // upper of the output, when look last saw it
	since  uint64                 // of the input
	down   bool

	cancel context.CancelFunc // nil while the pipeline does not run
	ended  chan error
	hurt   bool // something was done that may end the run
}

// tally counts what was done to a pipeline.
type tally struct {
	updates, seals, runs, cancels, stops, crashes, outages, compared int
}

func (n tally) String() string {
	return fmt.Sprintf("%d updates and %d seals of the input; %d runs of the pipeline, %d ended by their context, %d stops, %d crashes, %d outages; the output compared at %d times",
		n.updates, n.seals, n.runs, n.cancels, n.stops, n.crashes, n.outages, n.compared)
}

func (x *exercise[K, V, K2, V2]) note(format string, args ...any) {
	x.done = append(x.done, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n      "))
}

func (x *exercise[K, V, K2, V2]) run() error {
	if err := x.open(); err != nil {
		return err
	}
	for range x.opts.Steps {
		if err := x.step(); err != nil {
			return err
		}
		if err := x.look(false); err != nil {
			return err
		}
	}
	if err := x.finish(); err != nil {
		return err
	}
	if x.tally.updates == 0 {
		return fmt.Errorf("void: in %d steps nothing was written: more are needed", x.opts.Steps)
	}
	return nil
}

// step does one thing.
func (x *exercise[K, V, K2, V2]) step() error {
	if x.client == nil {
		return x.open()
	}
	if x.cancel == nil && x.random.IntN(3) > 0 {
		x.start()
	}
	if x.down && x.random.IntN(4) == 0 {
		x.setDown(false)
		x.pass(time.Second)
	}
	switch n := x.random.IntN(100); {
	case n < 30:
		return x.add()
	case n < 58:
		return x.seal()
	case n < 82:
		x.pass(time.Duration(x.random.IntN(6)) * time.Millisecond)
	case n < 88:
		return x.compact()
	case n < 92:
		x.note("the pipeline's context ends")
		x.tally.cancels++
		return x.end()
	case n < 94:
		x.note("the runtime stops")
		x.tally.stops++
		x.hurt = true
		return x.close()
	case n < 97 && x.store.Crash != nil && !x.down:
		return x.crash()
	case x.store.Faults != nil:
		x.setDown(true)
	}
	return nil
}

func (x *exercise[K, V, K2, V2]) open() error {
	x.setDown(false)
	x.note("a runtime starts")
	client, err := x.store.Open(x.ctx, x.opts.Config)
	if err != nil {
		return fmt.Errorf("the store cannot be opened: %w", err)
	}
	x.client = client
	if x.write, _, err = persist.CreateOrLoad(x.ctx, client, x.Input, x.InputKey, x.InputVal); err != nil {
		return err
	}
	_, x.read, err = persist.CreateOrLoad(x.ctx, client, x.Output, x.OutputKey, x.OutputVal)
	return err
}

func (x *exercise[K, V, K2, V2]) start() {
	x.note("the pipeline starts")
	x.tally.runs++
	ctx, cancel := context.WithCancel(x.ctx)
	x.cancel, x.ended, x.hurt = cancel, make(chan error, 1), x.down
	client, ended := x.client, x.ended
	go func() { // ends with Run, which end awaits
		defer func() {
			if r := recover(); r != nil {
				ended <- &panicked{r, debug.Stack()}
			}
		}()
		ended <- x.Run(ctx, client)
	}()
}

// end ends the run, if there is one, and waits until it has.
func (x *exercise[K, V, K2, V2]) end() error {
	if x.cancel == nil {
		return nil
	}
	x.cancel()
	x.cancel = nil
	select {
	case err := <-x.ended:
		if p, ok := errors.AsType[*panicked](err); ok {
			return p
		}
		x.note("the pipeline has ended: %v", err)
		return nil
	case <-time.After(x.patience()):
		return fmt.Errorf("Run has not returned %s after its context ended", x.patience())
	}
}

func (x *exercise[K, V, K2, V2]) patience() time.Duration {
	if x.virtual {
		return time.Hour
	}
	return 30 * time.Second
}

// close stops the runtime, and then the run, which has lost its runtime.
func (x *exercise[K, V, K2, V2]) close() error {
	err := x.client.Stop()
	if x.down {
		err = nil
	}
	x.client = nil
	return errors.Join(err, x.end())
}

// crash crashes the store while the pipeline has something on its way.
func (x *exercise[K, V, K2, V2]) crash() error {
	x.hurt = true
	if x.store.Hold != nil && x.virtual {
		if err := x.seal(); err != nil {
			return err
		}
		x.store.Hold()
		x.pass(10 * time.Millisecond)
	}
	x.note("the store crashes")
	x.tally.crashes++
	x.store.Crash(x.random.Uint64())
	_ = x.client.Stop() // it has lost its storage
	x.client = nil
	return x.end()
}

func (x *exercise[K, V, K2, V2]) setDown(down bool) {
	if x.down == down {
		return
	}
	x.down, x.hurt = down, true
	if down {
		x.note("the storage goes down")
		x.tally.outages++
		x.store.Faults.SetDown()
	} else {
		x.note("the storage is up")
		x.store.Faults.SetUp()
	}
}

func (x *exercise[K, V, K2, V2]) pass(d time.Duration) {
	if !x.virtual {
		d = min(d, time.Millisecond)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.ctx.Done():
	}
	if x.virtual {
		synctest.Wait()
	}
}

func (x *exercise[K, V, K2, V2]) add() error {
	updates := make([]persist.Update[K, V], 1+x.random.IntN(4))
	live := slices.Clone(x.live)
	for i := range updates {
		k, v := x.Draw(x.random)
		updates[i] = persist.Update[K, V]{Key: k, Val: v, Time: x.upper + x.random.Uint64N(6), Diff: int64(x.random.IntN(4)) - 1}
		if x.Table {
			updates[i].Diff = 1 + max(updates[i].Diff, 0)
			if n := len(live); n > 0 && x.random.IntN(3) == 0 {
				k := x.random.IntN(n)
				old := live[k]
				live = slices.Delete(live, k, k+1)
				old.Time, old.Diff = max(old.Time, updates[i].Time), -old.Diff
				updates[i] = old
			} else {
				live = append(live, updates[i])
			}
			continue
		}
		if n := len(x.input); n > 0 && x.random.IntN(3) == 0 { // a retraction
			old := x.input[x.random.IntN(n)]
			updates[i].Key, updates[i].Val, updates[i].Diff = old.Key, old.Val, -old.Diff
		}
	}
	if x.succeeds(x.write.Write(x.ctx, updates).Wait(x.ctx)) {
		x.note("write %v", updates)
		x.tally.updates += len(updates)
		x.input, x.live = append(x.input, updates...), live
	}
	return nil
}

func (x *exercise[K, V, K2, V2]) seal() error {
	to := x.upper + x.random.Uint64N(5)
	if x.succeeds(x.write.Seal(x.ctx, to).Wait(x.ctx)) {
		x.note("seal to %d", to)
		x.tally.seals++
		x.upper = to
	}
	return nil
}

func (x *exercise[K, V, K2, V2]) succeeds(_ any, err error) bool {
	if err != nil {
		x.note("the input cannot be written to: %v", err)
	}
	return err == nil
}

// compact lets the input forget what a pipeline that resumes does not need.
func (x *exercise[K, V, K2, V2]) compact() error {
	if t, ok := x.sealed.Elem(); ok && t > x.since+1 {
		if x.succeeds(x.write.AllowCompaction(x.ctx, frontier.At(t-1)).Wait(x.ctx)) {
			x.note("allow compaction of the input to %d", t-1)
			x.since = t - 1
		}
	}
	return nil
}

// panicked is the error of a Run that panicked. That is never legal.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("Run has panicked: %v\n%s", p.value, p.stack) }

// checkAlive returns an error if the pipeline has ended although nothing was done to it.
func (x *exercise[K, V, K2, V2]) checkAlive() error {
	if x.cancel == nil {
		return nil
	}
	select {
	case err := <-x.ended:
		x.cancel()
		x.cancel = nil
		if p, ok := errors.AsType[*panicked](err); ok {
			return p
		}
		if !x.hurt {
			return fmt.Errorf("Run has returned, although nothing was wrong and the input is not finished: %w", errOrNil{err})
		}
		x.note("the pipeline has ended: %v", err)
	default:
	}
	return nil
}

// errOrNil is an error that may be none.
type errOrNil struct{ error }

func (e errOrNil) Error() string { return fmt.Sprint(e.error) }
func (e errOrNil) Unwrap() error { return e.error }

// finish leaves the pipeline alone, and wants it to end well.
func (x *exercise[K, V, K2, V2]) finish() error {
	x.setDown(false)
	if x.client != nil {
		if err := x.end(); err != nil {
			return err
		}
	} else if err := x.open(); err != nil {
		return err
	}
	x.start()
	if _, err := x.write.Seal(x.ctx, x.upper+1).Wait(x.ctx); err != nil {
		return err
	}
	x.upper++
	x.note("seal to %d; from now on nothing is in the way", x.upper)
	ctx, cancel := context.WithTimeout(x.ctx, x.patience())
	defer cancel()
	for wait := time.Millisecond; x.sealed.LessThan(frontier.At(x.upper)); wait = min(2*wait, time.Second) {
		if ctx.Err() != nil {
			return fmt.Errorf("no progress: the output is sealed to %s, the input to {%d}, since %s", x.sealed, x.upper, x.patience())
		}
		x.pass(wait)
		if err := x.look(false); err != nil {
			return err
		}
	}
	if _, err := x.write.Finish(x.ctx).Wait(x.ctx); err != nil {
		return err
	}
	x.note("the input is finished")
	select {
	case err := <-x.ended:
		x.cancel()
		x.cancel = nil
		if err != nil {
			return fmt.Errorf("the input is finished, and Run has failed: %w", err)
		}
	case <-ctx.Done():
		return fmt.Errorf("the input is finished, and Run has not returned within %s", x.patience())
	}
	if err := x.look(true); err != nil {
		return err
	}
	if !x.sealed.IsEmpty() {
		return fmt.Errorf("the input is finished and Run has returned, but the output is sealed to %s only", x.sealed)
	}
	return nil
}

func (x *exercise[K, V, K2, V2]) clean() {
	if x.store.Faults != nil {
		x.store.Faults.SetUp()
	}
	if x.client != nil {
		_ = x.client.Stop()
	}
	_ = x.end()
}
