package storagetest

// Features says where an implementation differs from the usual one, which is a
// location in one place with a lock of its own. The zero value fits that.
type Features struct {
	// Exclusion says how a second writer is kept out. The zero value is Refuse.
	Exclusion Exclusion

	// TakeOver says that an owner may open a location which an earlier handle of
	// the same owner still holds, and fences that handle. Without it such an open
	// may be refused like anybody else's, which is right where the lock vanishes
	// with the process that held it.
	TakeOver bool

	// MaxSize is the size of the largest entry or blob that is taken, in bytes;
	// one byte more must give ErrTooLarge and change nothing. 0 means that there
	// is no limit worth testing: at least 4 MiB are taken.
	MaxSize int
}

// Exclusion is a way to keep two writers from disturbing each other.
type Exclusion int

const (
	// Refuse: while a handle is open, another owner's open fails with a
	// storage.LockedError that names the holder.
	Refuse Exclusion = iota

	// Fence: opening succeeds and takes the location from the handle before it,
	// whose mutations from then on fail with storage.ErrConflict or
	// storage.ErrClosed and change nothing.
	Fence

	// Share: several handles may write at once. It is for blobs only, where the
	// log of the location keeps a second writer out.
	Share
)

// String returns the name of the constant.
func (e Exclusion) String() string {
	switch e {
	case Refuse:
		return "Refuse"
	case Fence:
		return "Fence"
	case Share:
		return "Share"
	default:
		return "Exclusion(?)"
	}
}

// largeSize is the size of the largest value that the suites write where the
// implementation states no limit: bigger than any usual buffer, and still quick.
const largeSize = 4 << 20

func (f Features) largest() int {
	if f.MaxSize > 0 {
		return f.MaxSize
	}
	return largeSize
}
