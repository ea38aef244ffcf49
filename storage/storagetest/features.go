package storagetest

// Features says where an implementation differs from the usual one, which is a location in
// one place with a lock of its own. The zero value is for the usual one.
type Features struct {
	// Exclusion says how a second writer is kept out. The zero value is Refuse.
	Exclusion Exclusion

	// TakeOver says that an owner may open a location that an earlier handle of the same
	// owner still holds. The opening fences that handle. Without TakeOver such an opening
	// may be refused like that of any other owner. This is right if the lock vanishes with
	// the process that held it.
	TakeOver bool

	// MaxSize is the size of the largest entry or blob that is taken, in bytes. One byte
	// more must give ErrTooLarge and change nothing. 0 means that there is no limit worth
	// testing: at least 4 MiB are taken.
	MaxSize int
}

// Exclusion is a way to keep two writers from disturbing each other.
type Exclusion int

const (
	// Refuse: while a handle is open, another owner's open fails with a
	// storage.LockedError that names the holder.
	Refuse Exclusion = iota

	// Fence: opening succeeds and takes the location from the handle before it. From then on
	// the mutations of the old handle fail with storage.ErrConflict or storage.ErrClosed, and
	// change nothing.
	Fence

	// Share: several handles may write at once. It is for blobs only: the log of the location
	// keeps a second writer out.
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

// largeSize is the size of the largest value that the suites write if the implementation
// states no limit. It is larger than any usual buffer, and still quick.
const largeSize = 4 << 20

func (f Features) largest() int {
	if f.MaxSize > 0 {
		return f.MaxSize
	}
	return largeSize
}
