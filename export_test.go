package tidemark

// Directory is the directory that a file URL names on an operating system.
var Directory = directory
