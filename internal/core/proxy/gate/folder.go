package gate

import (
	"os"
	"path/filepath"

	"github.com/ownline/ownline/internal/ownline"
)

const othersMayWrite = 0o022

// CheckFolder refuses a socket in a folder in which others than root and core can put one of their own in its
// place, and answer for the gate.
func CheckFolder(socket string) error {
	dir, err := filepath.EvalSymlinks(filepath.Dir(socket))
	if err != nil {
		return ownline.Invalid("gate_socket", "its folder can't be used: "+err.Error())
	}
	for first := true; ; first = false {
		info, err := os.Stat(dir)
		switch {
		case err != nil:
			return ownline.Invalid("gate_socket", err.Error())
		case !info.IsDir():
			return ownline.Invalid("gate_socket", dir+" is no folder")
		case !ownOrRoots(info), info.Mode()&othersMayWrite != 0 && (first || info.Mode()&os.ModeSticky == 0):
			return ownline.Invalid("gate_socket", "others than root may write in "+dir+", and could answer in core's place; choose a folder of root's with mode 0755 or less, like /run")
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		return nil
	}
}
