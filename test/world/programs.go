package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the paths of what a world runs.
type Programs struct{ Core, Web, CLI string }

// Beside returns the programs in the folder of the running one.
func Beside() (Programs, error) {
	self, err := os.Executable()
	if err != nil {
		return Programs{}, err
	}
	return In(filepath.Dir(self))
}

// In returns the programs of a folder.
func In(dir string) (Programs, error) {
	p := Programs{filepath.Join(dir, "ownline-core"), filepath.Join(dir, "ownline-web"), filepath.Join(dir, "ownline")}
	for _, path := range []string{p.Core, p.Web, p.CLI} {
		if _, err := os.Stat(path); err != nil {
			return Programs{}, fmt.Errorf("%w; `make build` puts all three programs into one folder", err)
		}
	}
	return p, nil
}

// Build builds the programs into a folder, as `make build` does but without the pages. It
// must be called in a folder of the module.
func Build(ctx context.Context, dir string) (Programs, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", dir+"/",
		"github.com/ownline/ownline/cmd/ownline-core", "github.com/ownline/ownline/cmd/ownline-web", "github.com/ownline/ownline/cmd/ownline")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return In(dir)
}
