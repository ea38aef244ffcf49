package persist

import (
	"errors"
	"slices"

	"github.com/tidemark-go/tidemark/persist/codec"
	"github.com/tidemark-go/tidemark/storage"
)

// IsRetryable reports whether the call that failed with err has changed nothing, and may
// succeed later: if the same call is made again on the same client. It is false for nil.
//
//	err matches                        retryable  why, and what to do
//	---------------------------------  ---------  -------------------------------------------
//	ErrNoEffect                        yes        The storage could not take the command: a
//	                                              full disk, an outage. Wait, and try again.
//	ErrNoEffect and a context's error  yes        A time limit of the storage, or the end of
//	                                              your own context. Look at yours first.
//	ErrPrevious                        as cause   It wraps the error of the command before it
//	                                              in its Chain. Submit both again, in a new
//	                                              Chain.
//	ErrTooLarge                        no         It is as large the next time. Split it.
//	storage.ErrFailed, ErrConflict     no         The storage changes nothing any more, or
//	                                              somebody else has the location. Open it again.
//	ErrStopped                         no         The runtime takes no more commands. Open the
//	                                              location again.
//	ErrOutcomeUnknown                  no         It may have taken effect: a second Write could
//	                                              write everything twice. Open the location
//	                                              again and look at the upper, or repeat a
//	                                              CompareAndAppend there, which is safe.
//	ErrUpperMismatch, ErrSealed,       no         The stream has another upper or since. Go on
//	ErrSealRegression,                            from there: make another command.
//	ErrSinceRegression
//	ErrUnknownStream, ErrDestroyed,    no         The answer will be the same.
//	ErrReadOnly, ErrCodecMismatch,
//	ErrInvalid, ErrDifferentRuntimes
//	ErrLocked                          no         It is an error of an opening: the holder of
//	                                              the location may never let go. A program
//	                                              that takes over from another one may wait.
//	ErrCorrupt, ErrNewerFormat         no         The stored bytes will be the same.
//	a context's error alone            no         Your context has ended. If it was the context
//	                                              of Future.Wait, the command may take effect.
//	anything else                      no         It is not known to have had no effect.
//
// If a call does several things, as Maintain does, one of them may have had no effect, and the
// others may have had theirs. Such a call may be repeated all the same.
//
// A batch sink retries by this rule. Pause before each retry, longer each time. Meanwhile
// Config.Logger and the metrics of the runtime report the outage.
func IsRetryable(err error) bool {
	return errors.Is(err, ErrNoEffect) && !slices.ContainsFunc(finals, func(final error) bool { return errors.Is(err, final) })
}

// finals are the errors that waiting does not mend: all but ErrNoEffect and ErrPrevious. An
// error may match one of them beside ErrNoEffect, because a call such as Maintain does several
// things, and joins what failed.
var finals = []error{
	ErrTooLarge, ErrStopped, ErrClosed, ErrOutcomeUnknown,
	ErrUpperMismatch, ErrSealed, ErrSealRegression, ErrSinceRegression, ErrAsOfBeforeSince,
	ErrOverflow, ErrLagged, ErrUnknownStream, ErrDestroyed, ErrReadOnly, ErrCodecMismatch,
	ErrInvalid, ErrDifferentRuntimes, ErrLocked, ErrCorrupt, ErrNewerFormat,
	codec.ErrEncode, codec.ErrDecode,
	storage.ErrFailed, storage.ErrConflict, storage.ErrTruncated, storage.ErrNotFound,
	storage.ErrInvalidTruncation, storage.ErrInvalidRange, storage.ErrInvalidKey,
}
