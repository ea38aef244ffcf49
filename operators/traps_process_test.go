package operators_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/reugn/go-streams/extension"
	"github.com/reugn/go-streams/flow"
	"github.com/stretchr/testify/require"
)

// deadly are what package operators tells users not to do around our operators: a
// panic in a goroutine of go-streams ends the process, and nobody can recover it.
var deadly = map[string]struct {
	do   func(ctx context.Context)
	says string // of the panic
}{
	"a typed flow gets another type (trap 9)": {func(context.Context) {
		typed := flow.NewMap(func(u update) update { return u }, 1)
		from("a string").Via(typed)
		drain(typed)
	}, "interface conversion: interface {} is string"},
	"a typed flow gets nil (trap 10)": {func(context.Context) {
		untyped := flow.NewMap(func(error) error { return nil }, 1)
		typed := from(errBad).Via(untyped).Via(flow.NewMap(func(err error) error { return err }, 1))
		drain(typed)
	}, "interface conversion: interface is nil, not error"},
	"a typed split gets another type (trap 9)": {func(context.Context) {
		both := flow.Split(from("a string"), func(update) bool { return true })
		drain(both[0])
	}, "interface conversion: interface {} is string"},
	"a flow of go-streams is the second upstream of an inlet (trap 3)": {func(ctx context.Context) {
		f := identity(ctx)
		in := make(chan any)
		late := extension.NewChanSource(in).Via(flow.NewPassThrough())
		late.Via(f)
		from().Via(f)
		drain(f) // ends: the first has closed the inlet
		in <- pieces()[0]
	}, "send on closed channel"},
}

const deadlyName = "TIDEMARK_TEST_DEADLY"

// What kills a process is go-streams' own code: no frame of ours is in the goroutine
// that panics. If a version of go-streams does better, this test says so.
func TestTrap09DeadlyMistakes(t *testing.T) {
	if name := os.Getenv(deadlyName); name != "" {
		deadly[name].do(context.Background())
		<-make(chan struct{}) // the panic comes, or Go finds that nothing ever will
	}
	for name, mistake := range deadly {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTrap09DeadlyMistakes$")
			child.Env = append(os.Environ(), deadlyName+"="+name)
			out, err := child.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "it has survived: %s", out)
			require.Contains(t, string(out), "panic: "+mistake.says)
			require.NotContains(t, panicking(t, string(out)), "tidemark/operators.")
		})
	}
}

// panicking returns the stack of the goroutine that has panicked, which comes first.
func panicking(t *testing.T, out string) string {
	t.Helper()
	_, rest, ok := strings.Cut(out, "[running")
	require.True(t, ok, "no goroutine is running: %s", out)
	stack, _, _ := strings.Cut(rest, "\n\n")
	require.Contains(t, stack, "go-streams/")
	return stack
}
