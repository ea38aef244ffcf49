package persist

import (
	"errors"

	"github.com/tidemark-go/tidemark/indexed"
)

// translate returns an error of the engine in the types of this package. The engine cannot
// import this package, so it has error types of its own. Every error of the engine passes
// through translate on its way to the caller.
//
// The text of the error stays, and so does whatever it wraps.
func translate(err error) error {
	switch e := err.(type) { //nolint:errorlint // the outermost error is replaced, those inside by translated.As
	case nil:
		return nil
	case *indexed.StreamError:
		return (*StreamError)(e)
	case *indexed.UpperMismatchError:
		return (*UpperMismatchError)(e)
	}
	if errors.As(err, new(*indexed.StreamError)) || errors.As(err, new(*indexed.UpperMismatchError)) {
		return translated{err}
	}
	return err
}

// translated is an error that contains one of the engine's types: wrapped, joined with
// others, or both.
type translated struct{ error }

func (t translated) Unwrap() error { return t.error }

// As finds the types of this package, for errors.As.
func (t translated) As(target any) bool {
	switch target := target.(type) {
	case **StreamError:
		var e *indexed.StreamError
		if errors.As(t.error, &e) {
			*target = (*StreamError)(e)
			return true
		}
	case **UpperMismatchError:
		var e *indexed.UpperMismatchError
		if errors.As(t.error, &e) {
			*target = (*UpperMismatchError)(e)
			return true
		}
	}
	return false
}
