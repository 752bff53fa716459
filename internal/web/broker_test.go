package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/broker"
	"github.com/ownline/ownline/internal/broker/brokertest"
	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/test/freeport"
)

// Admins see in the API and in the metrics whether the broker is reached, and since when not.
func TestBrokerIsShown(t *testing.T) {
	b := brokertest.Start(t)
	metrics := freeport.Addr(t).String()
	for name, url := range map[string]string{"none": "", "a broker": b.TCP} {
		t.Run(name, func(t *testing.T) {
			w := open(t, func(c *config.Web) { c.MQTT.URL, c.Metrics.Listen = url, metrics })
			address, stop := serve(t, w, nil)
			defer func() {
				if err := stop(); err != nil {
					t.Error(err)
				}
			}()
			root, err := w.Access().AddUser(t.Context(), access.Command(), access.NewUser{Name: "root", Password: "four words are enough", Role: ownline.Admin})
			if err != nil {
				t.Fatal(err)
			}
			_, token, err := w.auth.AddToken(t.Context(), auth.Identity{User: root}, "test", []string{ownline.ScopeFull}, time.Time{}, "", auth.Code{})
			if err != nil {
				t.Fatal(err)
			}
			type state struct {
				Configured, Connected bool
				Since                 time.Time
				Error                 string
			}
			ask := func() (s state) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/api/v1/broker", nil)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				content, err := io.ReadAll(resp.Body)
				if err == nil {
					err = json.Unmarshal(content, &s)
				}
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%d %v: %s", resp.StatusCode, err, content)
				}
				return s
			}
			wait := func(what, line string, ok func(state) bool) {
				t.Helper()
				eventually(t, func() string {
					_, shown := fetch(t, "http://"+metrics+"/metrics")
					s := ask()
					if ok(s) && strings.Contains(shown, line) {
						return ""
					}
					return fmt.Sprintf("%s: the API says %+v, and the metrics have no %q", what, s, line)
				})
			}
			if url == "" {
				wait("none is configured", "\nownline_web_database_up 1", func(s state) bool { return s == state{} })
				if _, shown := fetch(t, "http://"+metrics+"/metrics"); strings.Contains(shown, "broker_up") {
					t.Error("the metrics tell of a broker that there isn't")
				}
				return
			}
			wait("up", "\nownline_web_broker_up{broker=\"outer\"} 1", func(s state) bool { return s.Configured && s.Connected && s.Error == "" && !s.Since.IsZero() })
			began := time.Now()
			b.Down()
			wait("down", "\nownline_web_broker_up{broker=\"outer\"} 0", func(s state) bool {
				return s.Configured && !s.Connected && s.Error != "" && s.Since.After(began.Add(-time.Second))
			})
		})
	}
}

// What changes in password_file counts from the next connection on.
func TestPasswordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	o := broker.Options{Password: ownline.Secret("from the start")}
	reload := readFiles(config.MQTT{PasswordFile: file})
	for _, want := range []string{"one", "another"} {
		if err := os.WriteFile(file, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := reload(&o); err != nil || string(o.Password) != want {
			t.Errorf("the password is %q, %v; want %s", []byte(o.Password), err, want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := reload(&o); err == nil || !strings.HasPrefix(err.Error(), "mqtt.password_file: ") {
		t.Errorf("without the file: %v", err)
	}
	o.Password = ownline.Secret("another")
	if err := readFiles(config.MQTT{})(&o); err != nil || string(o.Password) != "another" {
		t.Errorf("without a file: %q, %v", []byte(o.Password), err)
	}
}
