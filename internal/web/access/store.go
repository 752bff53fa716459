package access

// Store keeps what should be.
type Store interface{}
