package bed_test

import (
	"os"
	"testing"

	"github.com/ownline/ownline/test/bed/bedtest"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		victim()
		return
	}
	bedtest.Main(m)
}
