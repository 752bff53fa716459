package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mholt/acmez/v3/acme"
)

// How long a call may take. The first may wait until the record can be seen everywhere.
const (
	presentTimeout = 5 * time.Minute
	cleanupTimeout = time.Minute
)

// hook lets a program of the admin's put the record for dns-01 into their zone.
type hook struct {
	command []string

	mu        sync.Mutex // guards presented
	presented bool
}

// Present has returned when the record can be looked up: that is the program's promise.
func (h *hook) Present(ctx context.Context, c acme.Challenge) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.presented = true // even when it fails: it may have got half way
	ctx, cancel := context.WithTimeout(ctx, presentTimeout)
	defer cancel()
	return h.run(ctx, "present", c)
}

// CleanUp removes the record.
func (h *hook) CleanUp(ctx context.Context, c acme.Challenge) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.presented {
		return nil
	}
	h.presented = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return h.run(ctx, "cleanup", c)
}

// run calls the program with an argument vector of its own: no shell sees it. Its environment
// is nothing but a search path, so nothing of core's gets into it.
func (h *hook) run(ctx context.Context, what string, c acme.Challenge) error {
	args := append(append([]string{}, h.command[1:]...), what, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
	cmd := exec.CommandContext(ctx, h.command[0], args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = "/"
	cmd.WaitDelay = 5 * time.Second
	var said tail
	cmd.Stderr = &said
	group(cmd)
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay): // it left something running, which is its own affair
		return nil
	case ctx.Err() != nil:
		err = fmt.Errorf("was ended: %w", context.Cause(ctx))
	}
	if line := said.line(); line != "" {
		err = fmt.Errorf("%w: %s", err, line)
	}
	return fmt.Errorf("hook %s %s: %w", h.command[0], what, err)
}

// tail keeps the end of what a program says.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - 1024; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

// line is the last one, fit for a log.
func (t *tail) line() string {
	b := bytes.TrimSpace(t.b)
	b = b[bytes.LastIndexByte(b, '\n')+1:]
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b[:min(len(b), 200)]), " "))
}
