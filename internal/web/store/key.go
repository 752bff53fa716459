package store

import "github.com/ownline/ownline/internal/ownline"

// KeyFile reads the key that seals secrets from a file of 32 random bytes in base64, and
// makes the file (mode 0600) when it is not there. A file that others may read is refused.
func KeyFile(path string) (ownline.Secret, error) { return nil, errUnfinished }
