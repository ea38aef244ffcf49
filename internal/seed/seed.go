// Package seed tells a random test which one of its cases to repeat. One variable of the
// environment does so for all tests of this module, and for tests of users that call
// package tidemarktest.
package seed

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Variable is the variable of the environment that names the seed to repeat.
const Variable = "TIDEMARK_SEED"

// FromEnvironment returns the seed to repeat, and whether there is one.
//
// Errors: the variable is not a number.
func FromEnvironment() (seed uint64, ok bool, err error) {
	text, ok := os.LookupEnv(Variable)
	if !ok {
		return 0, false, nil
	}
	seed, err = strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w: set it to a number, or not at all", Variable, err)
	}
	return seed, true, nil
}

// Resolve returns the seed to use: that of the environment, else the given one, or 1 if the
// given one is 0.
//
// Errors: as FromEnvironment.
func Resolve(given uint64) (uint64, error) {
	switch seed, ok, err := FromEnvironment(); {
	case ok || err != nil:
		return seed, err
	case given == 0:
		return 1, nil
	default:
		return given, nil
	}
}

// Repeat returns the command that repeats a seed of a test of the package that runs. For a
// subtest it names the outermost test: the names of subtests may contain the seed, or text
// that a regular expression does not match.
func Repeat(test string, seed uint64) string {
	test, _, _ = strings.Cut(test, "/")
	return fmt.Sprintf("%s=%d go test -count=1 %s -run '^%s$'", Variable, seed, packageDir(), test)
}

// packageDir is the directory of the package under test, relative to the directory of its
// module. A test runs in its package's directory.
func packageDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			rel, _ := filepath.Rel(root, dir)
			return "./" + filepath.ToSlash(rel)
		}
		if root == filepath.Dir(root) {
			return dir
		}
	}
}
