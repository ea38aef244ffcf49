package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// verdict is what became of an exhibit.
type verdict struct {
	exhibit
	caught bool
	took   time.Duration
	output string // of the go command
}

// atOnce is how many exhibits are shown at a time. Half of the time goes into building and
// linking the changed program, most of it on one processor.
const atOnce = 2

// showAll shows exhibits, atOnce at a time, and yields their verdicts in the same order. It
// ends at the first error, or when the loop ends: the exhibits under way are then ended, and
// waited for.
func showAll(ctx context.Context, root string, exhibits []exhibit) iter.Seq2[verdict, error] {
	return func(yield func(verdict, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		type outcome struct {
			verdict verdict
			err     error
		}
		outcomes := make([]chan outcome, len(exhibits))
		for i := range outcomes {
			outcomes[i] = make(chan outcome, 1)
		}
		var all errgroup.Group
		all.SetLimit(atOnce)
		started := make(chan struct{})
		go func() {
			defer close(started)
			for i, x := range exhibits {
				all.Go(func() error {
					v, err := show(ctx, root, x)
					outcomes[i] <- outcome{v, err}
					return nil
				})
			}
		}()
		defer func() {
			cancel()
			<-started
			_ = all.Wait()
		}()
		for _, outcome := range outcomes {
			if o := <-outcome; !yield(o.verdict, o.err) || o.err != nil {
				return
			}
		}
	}
}

// show runs an exhibit's test with the bug planted: first as plain go test does, and if
// that does not catch the bug, in the exhibit's tier. An error means that nothing was
// shown: the bug could not be planted or built.
func show(ctx context.Context, root string, x exhibit) (verdict, error) {
	dir, err := os.MkdirTemp("", "museum")
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := x.overlay(root, dir)
	if err != nil {
		return verdict{}, err
	}
	start := time.Now()
	v := verdict{exhibit: x}
	for _, tier := range []proof.Tier{proof.Smoke, x.tier} {
		if v.caught, v.output, err = x.run(ctx, root, overlay, tier); err != nil || v.caught {
			break
		}
	}
	v.took = time.Since(start)
	return v, err
}

// run runs the test once.
func (x exhibit) run(ctx context.Context, root, overlay string, tier proof.Tier) (caught bool, output string, err error) {
	args := []string{"test", "-vet=off", "-overlay", overlay, "-count=1", "-timeout=2m", "-failfast", "-run", "^" + x.test + "$"}
	cmd := exec.CommandContext(ctx, "go", append(append(args, execFor(x.narrow)...), x.pkg)...)
	cmd.Dir = root
	cmd.Env = append(environment(x.narrow), "TIDEMARK_TIER="+string(tier), "TMPDIR="+filepath.Dir(overlay))
	text, err := cmd.CombinedOutput()
	output = string(text)
	switch {
	case ctx.Err() != nil:
		return false, output, ctx.Err()
	case strings.Contains(output, "[build failed]") || strings.Contains(output, "[setup failed]"):
		return false, output, fmt.Errorf("exhibit %s does not build:\n%s", x.name, output)
	case strings.Contains(output, "no tests to run"):
		return false, output, fmt.Errorf("exhibit %s: no test %s in %s", x.name, x.test, x.pkg)
	}
	name, _, _ := strings.Cut(x.test, "/")
	// A test that was still running at the time limit has not caught anything.
	hung := strings.Contains(output, "panic: test timed out")
	return err != nil && !hung && strings.Contains(output, "--- FAIL: "+name), output, nil
}

// control runs the exhibits' tests without their bugs. A test that fails anyhow would seem
// to catch everything.
func control(ctx context.Context, root string, shown []exhibit) error {
	type binary struct {
		pkg    string
		narrow bool
	}
	tests := map[binary][]string{}
	for _, x := range shown {
		of := binary{x.pkg, x.narrow}
		if !slices.Contains(tests[of], x.test) {
			tests[of] = append(tests[of], x.test)
		}
	}
	byName := func(a, b binary) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
	for _, of := range slices.SortedFunc(maps.Keys(tests), byName) {
		args := []string{"test", "-vet=off", "-count=1", "-run", "^(" + strings.Join(tests[of], "|") + ")$"}
		cmd := exec.CommandContext(ctx, "go", append(append(args, execFor(of.narrow)...), of.pkg)...)
		cmd.Dir = root
		cmd.Env = append(environment(of.narrow), "TIDEMARK_TIER=")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("without a bug, %s: %w\n%s", strings.Join(cmd.Args, " "), err, output)
		}
	}
	return nil
}

// narrow is a processor whose int has 32 bits, and the arguments with which go test runs
// programs for it. It is 386. If the kernel runs no programs for 386, and qemu-arm is
// installed, it is arm with that emulator.
var narrow = sync.OnceValues(func() (goarch string, args []string) {
	emulator, err := exec.LookPath("qemu-arm")
	if err != nil || runs386() {
		return "386", nil
	}
	return "arm", []string{"-exec", emulator}
})

// execFor returns the arguments for go test to run programs for a narrow processor.
func execFor(isNarrow bool) []string {
	if !isNarrow {
		return nil
	}
	_, args := narrow()
	return args
}

func runs386() bool {
	dir, err := os.MkdirTemp("", "museum")
	if err != nil {
		return false
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "main.go")
	if err := os.WriteFile(program, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return false
	}
	cmd := exec.Command("go", "run", program)
	cmd.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	return cmd.Run() == nil
}

// environment is our own environment without the variables that would change the tests.
// Property tests get the seed of tier A, and do not keep what they find: it belongs to a
// program with a bug in it. They try more than in tier A, since they end with the first find:
// with few tries, each new draw in a generator decides by chance whether a bug is found. A test of 32 bits gets a processor with 32 bits.
func environment(isNarrow bool) []string {
	ours := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "TIDEMARK") || strings.HasPrefix(variable, "RAPID")
	})
	ours = append(ours, "RAPID_SEED=1", "RAPID_CHECKS=500", "RAPID_NOFAILFILE=true")
	if isNarrow {
		goarch, _ := narrow()
		ours = append(ours, "GOARCH="+goarch, "CGO_ENABLED=0")
	}
	return ours
}

// overlay writes the changed files into dir, and returns the name of the file that
// tells the go command about them.
func (x exhibit) overlay(root, dir string) (string, error) {
	c, err := readCode(root)
	if err != nil {
		return "", err
	}
	texts, err := x.plant(c)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for name, text := range texts {
		changed := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, name)] = changed
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

// inTier returns the exhibits that a tier shows: B shows all.
func inTier(all []exhibit, tier proof.Tier) []exhibit {
	return slices.DeleteFunc(slices.Clone(all), func(x exhibit) bool { return tier == proof.A && x.tier != proof.A })
}
