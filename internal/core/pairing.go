package core

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/wholefile"
)

// codeLife is how long a pairing code is good for, and it is good once.
const codeLife = 10 * time.Minute

// pairing makes codes and judges them. Only the newest code counts.
type pairing struct {
	pin    link.Pin
	listen string // "HOST:PORT" of the link, "" when core dials
	state  *stateDir
	log    *slog.Logger

	mu      sync.Mutex // guards the following
	token   string     // "": no code is out
	expires time.Time
}

// newCode replaces the code. host is where web finds this core, "" to choose: the link's
// address, or an address of the LAN when the link listens on all.
func (p *pairing) newCode(host string, local []netip.Addr) (link.Code, time.Time, error) {
	c := link.Code{Pin: p.pin, Token: link.NewToken()}
	if p.listen != "" {
		h, port, err := net.SplitHostPort(p.listen)
		if err != nil {
			return link.Code{}, time.Time{}, ownline.Invalid("link.listen", err.Error())
		}
		if host == "" {
			host = h
		}
		if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
			host = "127.0.0.1"
			if len(local) > 0 {
				host = local[0].String()
			}
		}
		c.Addr = net.JoinHostPort(host, port)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token, p.expires = c.Token, time.Now().Add(codeLife)
	return c, p.expires, nil
}

// pair makes the web with that key the one that core obeys.
func (p *pairing) pair(web link.Pin, token string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := "; run `ownline-core pair` again"
	switch {
	case p.token == "":
		return ownline.Invalid("code", "the code was used already, or core was started again since"+again)
	case time.Now().After(p.expires):
		return ownline.Invalid("code", "the code is older than 10 minutes"+again)
	case subtle.ConstantTimeCompare([]byte(token), []byte(p.token)) != 1:
		return ownline.Invalid("code", "the code is not the newest one"+again)
	}
	if err := p.state.change(func(s *saved) { *s = saved{Web: web} }); err != nil {
		return err
	}
	p.token = ""
	p.log.Info("paired with a web", "pin", web)
	return nil
}

// keepFile writes a fresh code to the pair file for as long as nobody has paired, and
// removes the file then. Web on the same machine finds it there.
func (p *pairing) keepFile(ctx context.Context, path string, local []netip.Addr) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var written time.Time
	for {
		if p.state.get().Web != "" {
			if !written.IsZero() {
				os.Remove(path) // its code is used up; a file that stays behind is refused
			}
			<-ctx.Done()
			return nil
		}
		if time.Since(written) > codeLife/2 {
			code, _, err := p.newCode("", local)
			if err == nil {
				err = wholefile.Write(path, []byte(code.String()+"\n"), 0o600)
			}
			if err != nil {
				return fmt.Errorf("pair_file: %w", err)
			}
			written = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
