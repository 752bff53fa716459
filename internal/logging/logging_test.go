package logging_test

import (
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

func TestNew(t *testing.T) {
	for _, tc := range []struct{ level, format, want string }{
		{"info", "text", `level=INFO msg=seen session=7 err=[secret]`},
		{"warn", "text", ""},
		{"debug", "json", `"msg":"seen","session":7,"err":"[secret]"`},
	} {
		var out strings.Builder
		log, err := logging.New(&out, tc.level, tc.format)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("seen", logging.Session, 7, logging.Err, ownline.Secret("hunter2"))
		if !strings.Contains(out.String(), tc.want) || (tc.want == "" && out.Len() > 0) {
			t.Errorf("%s, %s: got %q, want %q in it", tc.level, tc.format, out.String(), tc.want)
		}
	}
	for _, bad := range [][2]string{{"loud", "text"}, {"info", "xml"}} {
		if _, err := logging.New(nil, bad[0], bad[1]); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
