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

// Fault decodes a fault of a fuzz test: which operation fails, the nth of them, and
// what becomes of it.
func Fault(nth, op, how byte) mem.Fault {
	f := mem.Fault{Op: ops[int(op)%len(ops)], Outcome: mem.Outcome(how & 3), Parts: int(how >> 2 & 3), Sticky: how&16 != 0}
	f.Nth = 1 + int(nth)%64
	if f.Op != "" {
		f.Nth = 1 + int(nth)%16 // of one kind there are fewer
	}
	return f
}

// ops are the operations of a storage; "" is any of them.
var ops = []mem.Op{
	"", mem.OpAppend, mem.OpSetIf, mem.OpGet, mem.OpDelete, mem.OpTruncate, mem.OpRead, mem.OpBounds,
	mem.OpSet, mem.OpList, mem.OpGetRange, mem.OpLogClose, mem.OpBlobClose,
}

// Failing returns an empty place in memory whose storage meets a fault. Read-only
// runtimes do not meet it.
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

// operations counts what a storage was asked for: by one name, or by all.
func operations(u *mem.Unreliable, op mem.Op) (n int) {
	if op != "" {
		return u.Calls(op)
	}
	for _, op := range ops {
		n += u.Calls(op)
	}
	return n
}
