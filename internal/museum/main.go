package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidemark-go/tidemark/internal/proof"
)

func main() {
	tier := flag.String("tier", "B", "A: the exhibits that are shown with every change; B: all")
	only := flag.String("only", "", "those whose names this regular expression matches")
	verbose := flag.Bool("v", false, "print what the tests print")
	passed := flag.Bool("passed", false, "the tests have just passed without a bug: do not run them so first")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "museum: unknown argument %q: give names with -only\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, proof.Tier(*tier), *only, *verbose, *passed); err != nil {
		fmt.Fprintln(os.Stderr, "museum:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tier proof.Tier, only string, verbose, passed bool) error {
	root, err := moduleDir(ctx)
	if err != nil {
		return err
	}
	if tier != proof.A && tier != proof.B {
		return fmt.Errorf("-tier %s: want A or B", tier)
	}
	wanted, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	shown := slices.DeleteFunc(inTier(exhibits, tier), func(x exhibit) bool { return !wanted.MatchString(x.name) })
	if len(shown) == 0 {
		return fmt.Errorf("no exhibit in tier %s matches %q", tier, only)
	}
	if !passed {
		if err := control(ctx, root, shown); err != nil {
			return err
		}
	}
	var missed []string
	fmt.Println("| bug | had by | caught by | tier | seconds |")
	fmt.Println("| --- | --- | --- | --- | --- |")
	for v, err := range showAll(ctx, root, shown) {
		if err != nil {
			return err
		}
		caught := fmt.Sprintf("`%s` in `%s`", v.test, v.pkg)
		if !v.caught {
			caught = "**not caught** by " + caught
			missed = append(missed, v.name)
		}
		fmt.Printf("| %s: %s | %s | %s | %s | %d |\n", v.name, v.bug, v.origin, caught, v.tier, v.took.Round(time.Second)/time.Second)
		if verbose || !v.caught {
			fmt.Fprintln(os.Stderr, v.output)
		}
	}
	if missed != nil {
		return fmt.Errorf("%d of %d bugs were not caught: %s", len(missed), len(shown), strings.Join(missed, ", "))
	}
	fmt.Printf("\n%d of %d bugs were caught.\n", len(shown), len(shown))
	return nil
}

// moduleDir is the directory of the module that the command was started in.
func moduleDir(ctx context.Context) (string, error) {
	gomod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(gomod))), nil
}
