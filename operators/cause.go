package operators

import (
	"cmp"
	"context"
	"errors"
)

// Part is a source, a flow or a sink of a pipeline. Err tells why it has ended.
type Part interface{ Err() error }

// Cause returns why a pipeline has ended: the first error that no other error has caused.
// Call it when the pipeline has ended. Give it the context of the pipeline and the
// pipeline's parts, the most upstream first.
//
// When one part fails, the other parts end with errors of their own: the context was
// cancelled because of the failure, or something that they wait for did not come. Cause
// skips those errors. It returns the first of these that there is:
//
//  1. The error of the most upstream part that is none of these: context.Canceled or the
//     cause of ctx, wrapped or not; ErrEnded, ErrMissing, ErrInletClosed. Of joined errors
//     it returns those that remain.
//  2. If ctx was cancelled without a cause: nil. This is how a pipeline should end.
//  3. If ctx has ended otherwise: its cause.
//  4. The error of the most upstream part that wraps context.Canceled. Something else than
//     the pipeline was cancelled, such as a call that a function has made under a context
//     of its own.
//  5. If a part has ended with context.Canceled itself: nil. The part's own context was
//     cancelled, and the part has ended as it should.
//  6. The error of the most upstream part that has one.
//  7. nil.
//
// If ctx was cancelled without a cause, Cause cannot tell whether an error that wraps
// context.Canceled follows from that. So give cancel the error for which you call it
// (context.WithCancelCause). Cause skips a nil Part.
func Cause(ctx context.Context, parts ...Part) error {
	ended := context.Cause(ctx)
	cancelled := false
	// Each is the error of the most upstream part of its kind. other: something else than
	// the pipeline was cancelled. rest: it follows from other errors.
	var other, rest error
	for _, part := range parts {
		if part == nil {
			continue
		}
		var own []error
		for _, err := range joined(part.Err()) {
			switch {
			case err == context.Canceled || (ended != nil && errors.Is(err, ended)): //nolint:errorlint // wrapped it is another's
				cancelled = true
			case errors.Is(err, context.Canceled):
				other = cmp.Or(other, err)
			case errors.Is(err, ErrEnded) || errors.Is(err, ErrMissing) || errors.Is(err, ErrInletClosed):
				rest = cmp.Or(rest, err)
			default:
				own = append(own, err)
			}
		}
		switch len(own) {
		case 0:
		case 1:
			return own[0]
		default:
			return errors.Join(own...)
		}
	}
	switch {
	case ended == context.Canceled: //nolint:errorlint // wrapped it was given as the cause
		return nil
	case ended != nil:
		return ended
	case other != nil:
		return other
	case cancelled:
		return nil
	}
	return rest
}

// joined returns the errors that errors.Join has joined, nested ones too, or the error
// itself. An error that wraps several, as fmt.Errorf makes it, is one error.
func joined(err error) (all []error) {
	if err == nil {
		return nil
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok || len(several.Unwrap()) == 0 || err.Error() != errors.Join(several.Unwrap()...).Error() {
		return []error{err}
	}
	for _, err := range several.Unwrap() {
		all = append(all, joined(err)...)
	}
	return all
}
