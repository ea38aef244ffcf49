package mem_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/storage"
)

// TestChoicesDoNotDependOnOtherOperations: where two goroutines begin two operations at one
// moment, what happens to one must not depend on whether the other comes first. Otherwise a
// seed does not repeat a test.
func TestChoicesDoNotDependOnOtherOperations(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T) func(op mem.Op) string{
		"what a crash keeps": func(*testing.T) func(mem.Op) string {
			keep := mem.KeepRandom(1)
			return func(op mem.Op) string { return fmt.Sprint(keep(op, 3)) }
		},
		"what fails": func(t *testing.T) func(mem.Op) string {
			u := mem.NewUnreliable()
			u.SetChance(1, 0.5, 0.5)
			blob := u.Blob(openBlob(t, mem.NewPlace("orders"), alice))
			return func(op mem.Op) string {
				var err error
				switch op {
				case mem.OpSet:
					_, err = blob.Set(t.Context(), "a", nil)
				case mem.OpSetIf:
					_, err = blob.SetIf(t.Context(), "b", nil, storage.NoVersion)
				default:
					err = blob.Delete(t.Context(), "c")
				}
				return fmt.Sprint(err)
			}
		},
		"how long it takes": func(t *testing.T) func(mem.Op) string {
			delay := mem.Latency(1, 0, time.Second)
			return func(op mem.Op) string {
				start := time.Now()
				require.NoError(t, delay(t.Context(), op))
				return time.Since(start).String()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alone, among := begin(t), begin(t)
				var want, got []string
				for i := range 50 {
					want = append(want, alone(mem.OpSet))
					for _, op := range []mem.Op{mem.OpSetIf, mem.OpDelete}[:i%3] {
						among(op)
					}
					got = append(got, among(mem.OpSet))
				}
				require.Equal(t, want, got)
				require.Greater(t, len(slices.Compact(slices.Sorted(slices.Values(want)))), 2, "they are drawn")
			})
		})
	}
}
