package operators

import (
	"cmp"
	"context"
	"errors"
)

// Part is a part of a pipeline that tells why it has ended: a source, a flow or a sink.
type Part interface{ Err() error }

// Cause returns why a pipeline has ended: the first error that was not brought about by
// another. Give it the context of the pipeline and its parts, the most upstream first, when
// the pipeline has ended.
//
// When one part fails, the others end with errors of their own: the context was cancelled
// for it, or what they wait for did not come. Cause passes over those. It returns
//
//   - the error of the most upstream part that is neither of these: context.Canceled or the
//     cause of ctx, wrapped or not; ErrEnded, ErrMissing, ErrInletClosed. Of errors that
//     were joined it returns those that remain;
//   - else the cause of ctx, if it ended by itself or was given a cause: one that was just
//     cancelled ends a pipeline as it should;
//   - else, if ctx has not ended, the error of the most upstream part that wraps
//     context.Canceled: something else than the pipeline was cancelled, such as a call that
//     a function has made under a context of its own;
//   - else, if nothing was cancelled, the error of the most upstream part that has one;
//   - else nil.
//
// A part whose own context was cancelled says so with context.Canceled itself, and ends as
// it should. When ctx was just cancelled, an error that wraps context.Canceled cannot be
// told from what that has brought about, so give cancel the error for which it is called
// (context.WithCancelCause). A nil Part is passed over.
func Cause(ctx context.Context, parts ...Part) error {
	ended := context.Cause(ctx)
	cancelled := false
	var other, rest error // the most upstream of something else that was cancelled, and of what follows from others
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

// joined returns the errors of errors.Join, also of joined ones, or the error itself: one
// that wraps several, as fmt.Errorf makes it, is one error.
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
