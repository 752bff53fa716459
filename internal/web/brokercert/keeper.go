package brokercert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/follow"
)

// retries are the pauses after failures, the last for all further ones. Let's Encrypt forgives five
// failures an hour, and core lets no more through.
var retries = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}

const (
	// An authority may take minutes to look, and core waits 10 for it.
	askWithin = 11 * time.Minute
	// A web that asks and dies is not waited for any longer. If it does not, two ask at once,
	// and core makes one after the other.
	askAgain = 2 * time.Minute
)

// Store keeps the certificate, for all replicas of web.
type Store interface {
	BrokerCertificate(context.Context) (ownline.BrokerCertificate, error)
	// ChangeBrokerCertificate keeps what change makes of it, if that returns true.
	ChangeBrokerCertificate(ctx context.Context, change func(*ownline.BrokerCertificate) bool) error
}

// Cores have certificates signed.
type Cores interface {
	Health(ownline.SiteID) ownline.LinkHealth
	Certify(ctx context.Context, site ownline.SiteID, csr []byte) (link.Certificate, error)
}

// Options are what a Keeper is made of.
type Options struct {
	Name  string // host name of the broker
	Store Store
	Sites func(context.Context) ([]ownline.Site, error)
	Cores Cores
	Log   *slog.Logger
}

// Keeper has a certificate signed by the router that serves the domain of the broker's name, with a
// key of its own, and sees that there is always a good one: it renews when a third of the time is
// left, and keeps the last one while that fails.
type Keeper struct {
	o     Options
	eager bool // the next failure's pause is not waited for; Run's alone

	mu      sync.Mutex // guards what follows
	row     ownline.BrokerCertificate
	current *tls.Certificate // nil: there is none
	hinders string           // why nobody can be asked; "": somebody can
}

// Keep makes a Keeper; it has no certificate before Load or Run.
func Keep(o Options) *Keeper { return &Keeper{o: o, eager: true} }

// Load takes what the database has, so that who comes at once after a start finds it.
func (k *Keeper) Load(ctx context.Context) error {
	row, err := k.o.Store.BrokerCertificate(ctx)
	if err == nil {
		k.take(row)
	}
	return err
}

// Run keeps the certificate until ctx ends.
func (k *Keeper) Run(ctx context.Context, changes follow.Changes) error {
	follow.Run(ctx, changes, k.look, k.o.Log, access.EventSite)
	return nil
}

// Certificate returns the newest.
func (k *Keeper) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil {
		return nil, errors.New("no certificate yet")
	}
	return k.current, nil
}

// Status tells until when the certificate is good, and what is wrong.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Problem: k.row.Problem}
	if k.current != nil {
		s.Expires = k.current.Leaf.NotAfter.UTC()
	}
	if k.hinders != "" && (k.current == nil || due(k.current.Leaf, time.Now())) {
		s.Problem = k.hinders
	} else if s.Problem != "" {
		s.Next = k.row.Next
	}
	if s.Problem == "" && k.current == nil {
		s.Problem = "there is none yet"
	}
	return s
}

// due reports whether it is time for another one.
func due(leaf *x509.Certificate, now time.Time) bool {
	return !now.Before(leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3))
}

// look takes what the database has, and asks for another one when it is time. Its error is the
// database's.
func (k *Keeper) look(ctx context.Context) error {
	row, err := k.o.Store.BrokerCertificate(ctx)
	if err != nil {
		return err
	}
	k.take(row)
	k.mu.Lock()
	current := k.current
	k.mu.Unlock()
	now := time.Now()
	if current != nil && !due(current.Leaf, now) {
		k.hinder(nil)
		return nil
	}
	site, err := k.site(ctx)
	if err != nil {
		return err
	}
	if row.Name != k.o.Name {
		row.Next = time.Time{}
	}
	if site == nil || row.Asking.After(now) || row.Next.After(now) && !(k.eager && now.Sub(row.Tried) >= retries[0]) {
		return nil
	}
	if err := k.renew(ctx, *site, row); err != nil || ctx.Err() != nil {
		return err
	}
	return k.Load(ctx)
}

// take goes over to what the database has, if that is for our name.
func (k *Keeper) take(row ownline.BrokerCertificate) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if row.Name != k.o.Name {
		k.row = ownline.BrokerCertificate{} // a replica with other settings has overwritten ours, which is good still
		return
	}
	was := k.row
	k.row = row
	if row.Chain == "" || row.Chain == was.Chain && k.current != nil {
		return
	}
	pair, err := pairOf(row.Chain, row.Key)
	if err != nil {
		k.o.Log.Error("the embedded broker's certificate in the database is damaged", logging.Err, err)
		return
	}
	k.current = pair
	k.o.Log.Info("the embedded broker has another certificate", "name", row.Name, "site", row.Site, "expires", pair.Leaf.NotAfter.UTC())
}

// site returns that whose router is to sign; nil: none can now, and Status says why.
func (k *Keeper) site(ctx context.Context) (*ownline.Site, error) {
	sites, err := k.o.Sites(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(sites, func(s ownline.Site) bool { return !s.Removed && s.Proxy.BrokerHost() == k.o.Name })
	if i < 0 {
		k.hinder(fmt.Errorf("no router signs for %s: it has to be %s. in front of a site's proxy.domain (mqtt.embedded.url of web.yaml, proxy.domain of core.yaml)", k.o.Name, ownline.BrokerName))
		return nil, nil
	}
	s := sites[i]
	if h := k.o.Cores.Health(s.ID); !h.Connected {
		k.eager = true // whoever mends the router does not want to wait
		k.hinder(fmt.Errorf("the router of %s, which is to sign, can't be reached: %s", s.Name, orElse(h.Error, "not connected yet")))
		return nil, nil
	}
	k.hinder(nil)
	return &s, nil
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// hinder notes why nobody can be asked, nil when somebody can.
func (k *Keeper) hinder(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	k.mu.Lock()
	was := k.hinders
	k.hinders = text
	k.mu.Unlock()
	if text != "" && text != was {
		k.o.Log.Warn("nobody can be asked for the embedded broker's certificate", "reason", text)
	}
}

// renew asks for another certificate, unless another replica does, and keeps it.
func (k *Keeper) renew(ctx context.Context, site ownline.Site, seen ownline.BrokerCertificate) error {
	mine := false
	now := time.Now()
	err := k.o.Store.ChangeBrokerCertificate(ctx, func(c *ownline.BrokerCertificate) bool {
		mine = c.Chain == seen.Chain && c.Tried.Equal(seen.Tried) && !c.Asking.After(now)
		c.Asking = now.Add(askAgain)
		return mine
	})
	if err != nil || !mine {
		return err
	}
	k.eager = false
	fresh, problem := k.ask(ctx, site)
	if ctx.Err() != nil {
		// We stop in the middle of it: the next one need not wait.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return k.o.Store.ChangeBrokerCertificate(ctx, func(c *ownline.BrokerCertificate) bool {
			c.Asking = time.Time{}
			return true
		})
	}
	return k.o.Store.ChangeBrokerCertificate(ctx, func(c *ownline.BrokerCertificate) bool {
		if problem == nil {
			*c = fresh
			return true
		}
		if c.Name == k.o.Name && c.Chain != seen.Chain {
			return false // another replica has asked for as long, and has got one
		}
		if c.Name != k.o.Name {
			*c = ownline.BrokerCertificate{Name: k.o.Name}
		}
		now := time.Now().UTC()
		pause := retries[min(c.Failures, len(retries)-1)]
		c.Asking, c.Failures, c.Problem, c.Tried, c.Next = time.Time{}, c.Failures+1, problem.Error(), now, now.Add(pause)
		return true
	})
}

// ask has a certificate signed for a new key.
func (k *Keeper) ask(ctx context.Context, site ownline.Site) (c ownline.BrokerCertificate, err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			k.o.Log.Warn("there is no new certificate for the embedded broker; it will be tried again", "site", site.Name, logging.Err, err)
		}
	}()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{k.o.Name}}, key)
	if err != nil {
		return c, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, err
	}
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	got, err := k.o.Cores.Certify(within, site.ID, csr)
	if err != nil {
		return c, fmt.Errorf("router of %s: %w", site.Name, err)
	}
	pair, err := pairOf(got.Chain, private)
	if err == nil {
		err = check(pair, got.Root, k.o.Name, time.Now())
	}
	if err != nil {
		return c, fmt.Errorf("router of %s: what it sent is of no use: %w", site.Name, err)
	}
	return ownline.BrokerCertificate{Name: k.o.Name, Site: site.Name, Key: private, Chain: got.Chain, Root: got.Root}, nil
}

// pairOf joins a chain in PEM and a key in DER of PKCS #8.
func pairOf(chain string, key ownline.Secret) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(chain), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err != nil {
		return nil, err
	}
	return &pair, nil // X509KeyPair has set Leaf
}

// check sees that clients will take the certificate.
func check(pair *tls.Certificate, root, name string, now time.Time) error {
	if err := pair.Leaf.VerifyHostname(name); err != nil {
		return err
	}
	if due(pair.Leaf, now) {
		return fmt.Errorf("it ends on %s", pair.Leaf.NotAfter.UTC().Format(time.DateTime))
	}
	if root == "" {
		return nil // the authority is another's, which devices know
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(root)) || strings.Contains(root, "PRIVATE") {
		return errors.New("the router's authority is no certificate")
	}
	_, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now})
	return err
}
