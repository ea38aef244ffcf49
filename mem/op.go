package mem

// Op names an operation of a log or of a blob store, in the words of error messages.
type Op string

// The operations of storage.Log and storage.LogReader.
const (
	OpAppend   Op = "log append"
	OpTruncate Op = "log truncate"
	OpBounds   Op = "log bounds"
	OpRead     Op = "log read"
	OpLogClose Op = "log close"
)

// The operations of storage.Blob, storage.BlobReader, storage.Pinner and storage.Opener.
const (
	OpGet       Op = "blob get"
	OpGetRange  Op = "blob get range"
	OpList      Op = "blob list"
	OpSet       Op = "blob set"
	OpSetIf     Op = "blob set if"
	OpDelete    Op = "blob delete"
	OpPin       Op = "blob pin"
	OpOpen      Op = "blob open"
	OpBlobClose Op = "blob close"
)
