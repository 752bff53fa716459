package e2e

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/ownline/ownline/test/world"
)

// The history has what came through a session to its end, however it ended. No invariant: it is what
// people see.
func TestCountedToTheEnd(t *testing.T) {
	s := start(t, world.Options{})
	const size = 300_000
	client := s.Bed.Client1
	download := func(port uint16) error {
		c := client.HTTPClient(5 * time.Second)
		defer c.CloseIdleConnections()
		resp, err := c.Get(fmt.Sprintf("http://%s/stream?bytes=%d", s.public(false, port), size))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && (n != size || resp.StatusCode != http.StatusOK) {
			err = fmt.Errorf("%s: %d bytes", resp.Status, n)
		}
		return err
	}
	counted := func(t *testing.T, id string) {
		t.Helper()
		var was world.Session
		eventually(t, 5*time.Second, "all bytes in the history", func() bool {
			var err error
			if was, err = s.API.Session(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			return was.State == "ended" && was.Traffic.DownBytes >= size && was.Traffic.UpBytes > 0
		})
	}
	for i, tc := range []struct {
		name string
		end  func(id string) error
	}{
		{"closed", func(id string) error { return s.API.Call(t.Context(), "DELETE", "/sessions/"+id, nil, nil) }},
		{"all-closed", func(string) error { return s.API.Call(t.Context(), "DELETE", "/sessions?all=true", nil, nil) }},
		{"flushed", func(string) error { _, err := s.CoreCommand(t.Context(), "flush"); return err }},
		{"core-new", func(id string) error {
			if err := s.Core.Kill(); err != nil {
				return err
			}
			if err := s.Core.Start(t.Context()); err != nil {
				return err
			}
			if err := s.WaitConnected(t.Context()); err != nil {
				return err
			}
			return s.API.Call(t.Context(), "DELETE", "/sessions/"+id, nil, nil)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			port := uint16(20600 + i)
			x := s.open(s.web, client.IPv4, time.Minute, port)
			wantState(t, client, s.public(false, port), true)
			if err := download(port); err != nil {
				t.Fatal(err)
			}
			if err := tc.end(x.ID); err != nil {
				t.Fatal(err)
			}
			counted(t, x.ID)
		})
	}
	t.Run("expired", func(t *testing.T) {
		for i := range 10 {
			port := uint16(20650 + i)
			x := s.open(s.web, client.IPv4, 2*time.Second, port)
			time.Sleep(time.Until(x.Expires.Add(-600 * time.Millisecond)))
			if err := download(port); err == nil && time.Until(x.Expires) > 200*time.Millisecond {
				counted(t, x.ID)
				return
			}
		}
		t.Fatal("no download of ten took less than half a second")
	})
}
