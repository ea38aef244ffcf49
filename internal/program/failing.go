package program

import (
	"context"

	"github.com/tidemark-go/tidemark/mem"
	"github.com/tidemark-go/tidemark/persist"
)

// InMemory returns an empty place in memory that never fails.
func InMemory() Place {
	registry := mem.NewRegistry(mem.WithGaps(1))
	return Place{Open: registry.Runtime, OpenRead: registry.ReadRuntime}
}

// Fault decodes the fault of a fuzz test: which operation fails, at which of its calls, and
// how.
func Fault(nth, op, how byte) mem.Fault {
	f := mem.Fault{Op: ops[int(op)%len(ops)], Outcome: mem.Outcome(how & 3), Parts: int(how >> 2 & 3), Sticky: how&16 != 0}
	f.Nth = 1 + int(nth)%64
	if f.Op != "" {
		f.Nth = 1 + int(nth)%16 // one kind of operation has fewer calls
	}
	return f
}

// ops are the operations of a storage; "" is any of them.
var ops = []mem.Op{
	"", mem.OpAppend, mem.OpSetIf, mem.OpGet, mem.OpDelete, mem.OpTruncate, mem.OpRead, mem.OpBounds,
	mem.OpSet, mem.OpList, mem.OpGetRange, mem.OpLogClose, mem.OpBlobClose,
}

// Failing returns an empty place in memory whose storage has a fault. The fault does not
// hit read-only runtimes.
func Failing(fault mem.Fault) Place {
	registry := mem.NewRegistry()
	storage := mem.NewUnreliable()
	remove := storage.Inject(fault)
	return Place{
		Open: func(ctx context.Context, cfg persist.Config) (*persist.Client, error) {
			return registry.RuntimeUnreliable(ctx, storage, cfg)
		},
		OpenRead: registry.ReadRuntime,
		Struck:   func() bool { return operations(storage, fault.Op) >= fault.Nth },
		Repair:   remove,
	}
}

// operations counts the calls of a storage, of one operation or of all.
func operations(u *mem.Unreliable, op mem.Op) (n int) {
	if op != "" {
		return u.Calls(op)
	}
	for _, op := range ops {
		n += u.Calls(op)
	}
	return n
}
