package api

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

// What fails before its operation runs is named as the log names it, too, and blames no part
// that has nothing to do with it.
func TestProblemBeforeTheOperation(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	for _, tc := range []struct {
		err    error
		status int
	}{{errors.New("hunter2"), 500}, {ownline.ErrUnavailable, 503}} {
		r := httptest.NewRequest("GET", "/", nil)
		r = r.WithContext(logging.WithRequest(r.Context(), "abcdefgh"))
		w := httptest.NewRecorder()
		s.writeProblem(humago.NewContext(&huma.Operation{Errors: []int{500, 503}}, r, w), tc.err)
		body := w.Body.String()
		if w.Code != tc.status || !strings.Contains(body, `"instance":"urn:ownline:request:abcdefgh"`) || strings.Contains(body, "core") || strings.Contains(body, "hunter2") {
			t.Errorf("%d %s", w.Code, body)
		}
	}
}
