//go:build !unix

package gate

import "os"

func ownOrRoots(os.FileInfo) bool { return true }
