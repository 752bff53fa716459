// Package login: Ownline's own login in front of services, for sources that many people share.
// Who is logged in, web says (link.Pass); with a one-time code of web's, a browser gets a cookie
// of core's own, for one service's host alone. All of it is in memory: after a restart
// browsers go the way to web and back again, which nobody sees who is logged in there.
package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
)

const (
	codeLife    = time.Minute
	maxCodes    = 1024    // that wait to be brought
	maxPasses   = 1 << 16 // added one by one; a whole state has as many as it has
	maxBrowsers = 8       // of one pass: a browser has one, or again one after it lost its cookies

	wrongAtMost = 30 // codes that are wrong, from one source in wrongEvery; right ones always do
	wrongEvery  = time.Minute
	maxSources  = 4096
)

// Book holds who is logged in. Safe for concurrent use.
type Book struct {
	log *slog.Logger

	mu       sync.Mutex // guards what follows
	pages    string
	floor    link.Revision
	passes   map[key]*pass
	codes    map[digest]code
	browsers map[digest]*pass // by the hash of their cookie
	wrong    map[netip.Addr]int
	since    time.Time // that wrong counts from
}

type (
	key struct {
		login   ownline.LoginID
		service ownline.ServiceID
	}
	digest = [sha256.Size]byte
)

// pass is one that web wants.
type pass struct {
	key
	user     string
	revision uint64 // of the command that it came with; 0: of the whole state
	until    time.Time
	timer    *time.Timer
	live     context.Context
	end      context.CancelFunc
	browsers []digest // oldest first
}

// code is one that a browser may bring, once.
type code struct {
	key
	state digest
	until time.Time
}

// New makes an empty Book.
func New(log *slog.Logger) *Book {
	return &Book{log: log, passes: map[key]*pass{}, codes: map[digest]code{}, browsers: map[digest]*pass{}, wrong: map[netip.Addr]int{}}
}

// Replace makes the passes those of a whole state, and what was newer than it. until turns
// an end by web's clock into one by ours.
func (b *Book) Replace(rev link.Revision, pages string, want []link.Pass, until func(time.Time) time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	same := b.floor.Epoch == rev.Epoch
	b.floor, b.pages = rev, pages
	wanted := make(map[key]bool, len(want))
	for _, p := range want {
		k := key{p.Login, p.Service}
		wanted[k] = true
		b.keep(k, p.User, until(p.Expires))
	}
	for k, p := range b.passes {
		if !wanted[k] && (!same || p.revision <= rev.Revision) {
			b.drop(p)
		}
	}
}

// Put adds a pass and a code for it.
func (b *Book) Put(p link.PutPass, until time.Time) error {
	if p.Login.IsZero() || p.Service.IsZero() || len(p.Code) != sha256.Size || len(p.State) != sha256.Size {
		return ownline.Invalid("code", "must come with a login, a service, and two hashes of 32 bytes")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k, now := key{p.Login, p.Service}, time.Now()
	known := b.passes[k]
	switch {
	case b.floor == link.Revision{}:
		return fmt.Errorf("no whole state has come since core started: %w", link.ErrStale)
	case p.Epoch != b.floor.Epoch, p.Revision.Revision <= b.floor.Revision && known == nil:
		return fmt.Errorf("revision %d: %w", p.Revision.Revision, link.ErrStale)
	case known == nil && len(b.passes) >= maxPasses:
		return ownline.Conflict("login", "there are too many")
	}
	for h, c := range b.codes {
		if !c.until.After(now) {
			delete(b.codes, h)
		}
	}
	if len(b.codes) >= maxCodes {
		return ownline.Conflict("code", "too many wait to be used; try again in a minute")
	}
	kept := b.keep(k, p.User, until)
	if p.Revision.Revision > b.floor.Revision {
		kept.revision = max(kept.revision, p.Revision.Revision)
	}
	b.codes[digest(p.Code)] = code{k, digest(p.State), now.Add(codeLife)}
	return nil
}

// keep adds a pass, or moves its end. The caller holds mu.
func (b *Book) keep(k key, user string, until time.Time) *pass {
	p := b.passes[k]
	if p == nil {
		p = &pass{key: k}
		p.live, p.end = context.WithCancel(context.Background())
		b.passes[k] = p
		p.timer = time.AfterFunc(time.Until(until), func() { b.expire(p) })
	} else if !until.Equal(p.until) {
		p.timer.Reset(time.Until(until))
	}
	p.user, p.until = user, until
	return p
}

// expire is called by the timer, which may have been set anew meanwhile.
func (b *Book) expire(p *pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.passes[p.key] == p && !p.until.After(time.Now()) {
		b.drop(p)
	}
}

// drop ends what was let in by a pass. Codes for it find it gone. The caller holds mu.
func (b *Book) drop(p *pass) {
	delete(b.passes, p.key)
	for _, h := range p.browsers {
		delete(b.browsers, h)
	}
	p.timer.Stop()
	p.end()
}

// admitted returns what ends with the login of the cookie, at this very service.
func (b *Book) admitted(service ownline.ServiceID, cookies []string) (context.Context, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, value := range cookies {
		p := b.browsers[sha256.Sum256([]byte(value))]
		if p != nil && p.service == service && p.until.After(time.Now()) {
			return p.live, true
		}
	}
	return nil, false
}

// redeem takes a code for a cookie. Whatever comes of it, the code is used up.
func (b *Book) redeem(service ownline.ServiceID, value string, states []string, source netip.Addr) (cookie string, life time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h, now := digest(sha256.Sum256([]byte(value))), time.Now()
	c, there := b.codes[h]
	delete(b.codes, h)
	p := b.passes[c.key]
	if !there || !c.until.After(now) || c.service != service || p == nil || !p.until.After(now) || !has(states, c.state) {
		b.log.Debug("code refused", logging.Source, source, logging.Service, service)
		return "", 0, false
	}
	cookie = random()
	if len(p.browsers) >= maxBrowsers {
		delete(b.browsers, p.browsers[0])
		p.browsers = append(p.browsers[:0], p.browsers[1:]...)
	}
	h = sha256.Sum256([]byte(cookie))
	p.browsers = append(p.browsers, h)
	b.browsers[h] = p
	b.log.Info("let in by a login", logging.User, p.user, logging.Service, service, logging.Source, source)
	return cookie, p.until.Sub(now), true
}

func has(states []string, want digest) bool {
	found := 0
	for _, s := range states {
		got := sha256.Sum256([]byte(s))
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return found == 1
}

// guessed counts a wrong code, and reports whether there were too many from its source. It
// keeps nobody out who has a right one: neighbours share the source.
func (b *Book) guessed(source netip.Addr) (tooMany bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.since) > wrongEvery {
		clear(b.wrong)
		b.since = now
	}
	if _, ok := b.wrong[source]; !ok && len(b.wrong) >= maxSources {
		return true
	}
	b.wrong[source]++
	return b.wrong[source] > wrongAtMost
}

// at returns where people log in.
func (b *Book) at() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pages
}

// random is 256 bits in 43 characters.
func random() string {
	v := make([]byte, 32)
	rand.Read(v) // never fails: crypto/rand crashes the program instead
	return base64.RawURLEncoding.EncodeToString(v)
}
