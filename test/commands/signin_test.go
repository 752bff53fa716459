package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// lines FILE LINE… writes lines into a file, for standard input or a terminal.
func lines(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
}

// keep VARIABLE PATTERN keeps what a group of the pattern matches in the last standard output.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// code VARIABLE SECRET STEPS is what an app shows so many steps from now.
func code(ts *testscript.TestScript, _ bool, args []string) {
	steps, err := strconv.Atoi(args[2])
	ts.Check(err)
	c, err := totp.GenerateCode(args[1], time.Now().Add(time.Duration(steps)*30*time.Second))
	ts.Check(err)
	ts.Setenv(args[0], c)
}

// browser NAME PASSWORD AGENT signs a browser in.
func browser(ts *testscript.TestScript, _ bool, args []string) {
	body, err := json.Marshal(map[string]string{"name": args[0], "password": args[1]})
	ts.Check(err)
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+"/api/v1/auth/login", bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", args[2])
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		ts.Fatalf("signing in: %s %s %v", resp.Status, answer, err)
	}
}

// passkey USER NAME writes a passkey into the database, as a browser would have it made.
func passkey(ts *testscript.TestScript, _ bool, args []string) {
	ctx, state := context.Background(), ts.MkAbs("state")
	s, err := store.OpenKeyFile(ctx, filepath.Join(state, "ownline.db"), filepath.Join(state, "secret.key"))
	ts.Check(err)
	defer func() { ts.Check(s.Close()) }()
	var u ownline.User
	ts.Check(s.Read(ctx, func(tx *store.Tx) (err error) {
		u, err = tx.UserNamed(args[0])
		return err
	}))
	ts.Check(s.AddPasskey(ctx, ownline.Passkey{
		ID: ownline.NewID[ownline.Passkey](), User: u.ID, Name: args[1], Credential: []byte(args[1]), Data: []byte("{}"), Created: time.Now(),
	}, 10))
}

// messenger plays a service for notifications at $MESSENGER: bots whose token begins with 3
// are unknown to it.
func messenger(ts *testscript.TestScript, _ bool, _ []string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/bot3:") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"ok":true,"result":{}}`)
	}))
	ts.Defer(s.Close)
	ts.Setenv("MESSENGER", s.URL)
}

// append FILE LINE… adds lines to a file.
func appendLines(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	_, err = f.WriteString(strings.Join(args[1:], "\n") + "\n")
	ts.Check(err)
	ts.Check(f.Close())
}
