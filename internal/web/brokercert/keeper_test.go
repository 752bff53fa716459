package brokercert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

const name = "mqtt.home.example.org"

// shared is a database, and a router that signs.
type shared struct {
	t *testing.T

	mu       sync.Mutex // guards what follows
	row      ownline.BrokerCertificate
	sites    []ownline.Site
	health   ownline.LinkHealth
	ca       *x509.Certificate
	key      *ecdsa.PrivateKey
	life     time.Duration
	names    []string // that are signed for, whatever is asked; nil: what is asked
	fail     error
	takes    time.Duration
	asked    []time.Time
	asking   int
	together bool
}

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{t: t, life: 90 * 24 * time.Hour, health: ownline.LinkHealth{Connected: true}}
	s.sites = []ownline.Site{
		{Name: "elsewhere", Proxy: ownline.SiteProxy{Driver: "embedded", Domain: "example.org", Port: 9999}},
		{Name: "home", Proxy: ownline.SiteProxy{Driver: "nginx", Domain: "home.example.org", Port: 9999}},
	}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, s.ca, s.ca, s.key.Public(), s.key)
	if err == nil {
		s.ca, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shared) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *shared) BrokerCertificate(context.Context) (ownline.BrokerCertificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.row, nil
}

func (s *shared) ChangeBrokerCertificate(_ context.Context, change func(*ownline.BrokerCertificate) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.row; change(&c) {
		s.row = c
	}
	return nil
}

func (s *shared) list(context.Context) ([]ownline.Site, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]ownline.Site(nil), s.sites...), nil
}

func (s *shared) Health(ownline.SiteID) ownline.LinkHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

func (s *shared) Certify(ctx context.Context, _ ownline.SiteID, csr []byte) (link.Certificate, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	s.asking++
	s.together = s.together || s.asking > 1
	takes := s.takes
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking--
	if ctx.Err() != nil {
		return link.Certificate{}, ctx.Err()
	}
	if s.fail != nil {
		return link.Certificate{}, s.fail
	}
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return link.Certificate{}, err
	}
	names := r.DNSNames
	if s.names != nil {
		names = s.names
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names, NotBefore: time.Now(), NotAfter: time.Now().Add(s.life),
	}, s.ca, r.PublicKey, s.key)
	return link.Certificate{
		Chain: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Root:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.ca.Raw})),
	}, err
}

func (s *shared) tries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

type quiet struct{}

func (quiet) Next(ctx context.Context) (access.Event, error) {
	<-ctx.Done()
	return access.Event{}, ctx.Err()
}

// replica runs a keeper until stop is called.
func (s *shared) replica(name string) (k *Keeper, stop func()) {
	s.t.Helper()
	k = Keep(Options{Name: name, Store: s, Sites: s.list, Cores: s, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error)
	go func() { done <- k.Run(ctx, quiet{}) }()
	return k, func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
}

func shown(t *testing.T, k *Keeper) *x509.Certificate {
	t.Helper()
	c, err := k.Certificate(nil)
	if err != nil {
		t.Fatalf("%v; %+v", err, k.Status())
	}
	if !c.Leaf.NotAfter.Equal(k.Status().Expires) {
		t.Errorf("shows one until %s, and says %s", c.Leaf.NotAfter, k.Status().Expires)
	}
	return c.Leaf
}

func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// All replicas show one certificate, which one of them had signed; it is renewed in time, stays
// while that fails, and is there after a restart without the router.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.takes, s.life = 5*time.Second, 9*time.Hour
		a, stopA := s.replica(name)
		b, stopB := s.replica(name)
		synctest.Wait()
		if st := a.Status(); st.Problem == "" || !st.Expires.IsZero() {
			t.Errorf("at first: %+v", st)
		}
		later(20 * time.Second)
		first := shown(t, a)
		if !shown(t, b).Equal(first) || s.tries() != 1 {
			t.Errorf("%d were asked for", s.tries())
		}
		if err := first.VerifyHostname(name); err != nil || a.Status().Problem != "" || s.row.Site != "home" {
			t.Errorf("%v, %+v, by %s", err, a.Status(), s.row.Site)
		}
		later(5*time.Hour + 55*time.Minute)
		if !shown(t, a).Equal(first) {
			t.Error("renewed too early")
		}
		later(10 * time.Minute)
		second := shown(t, a)
		if second.Equal(first) || !shown(t, b).Equal(second) || s.tries() != 2 || s.together {
			t.Errorf("renewed %v, %d asked for, together: %v", !second.Equal(first), s.tries(), s.together)
		}

		// The router is away for longer than the certificate lasts: what there is stays.
		s.set(func() { s.health = ownline.LinkHealth{Error: "the router is off"} })
		later(10 * time.Hour)
		if !shown(t, a).Equal(second) || !strings.Contains(a.Status().Problem, "the router is off") || s.tries() != 2 {
			t.Errorf("away: %+v, %d", a.Status(), s.tries())
		}
		stopA()
		a, stopA = s.replica(name)
		synctest.Wait()
		if !shown(t, a).Equal(second) {
			t.Error("another one after a restart")
		}
		s.set(func() { s.health.Connected = true })
		later(30 * time.Second)
		if third := shown(t, a); third.Equal(second) || !shown(t, b).Equal(third) || a.Status().Problem != "" || s.tries() != 3 {
			t.Errorf("back: %+v, %d", a.Status(), s.tries())
		}
		stopA()
		stopB()
	})
}

// What fails is told, and tried again ever more rarely, at once when the router comes back or web
// is started again; what is of no use is not taken.
func TestKeeperFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.fail = errors.New("the port was not opened")
		k, stop := s.replica(name)
		later(time.Second)
		if st := k.Status(); !strings.Contains(st.Problem, "home: the port was not opened") || s.tries() != 1 || time.Until(st.Next) != 59*time.Second {
			t.Errorf("%+v, %d", st, s.tries())
		}
		later(59 * time.Minute)
		if s.tries() != 6 { // after 1, 6, 21, 36 and 51 minutes
			t.Errorf("%d tries within an hour: %v", s.tries(), s.asked)
		}
		s.set(func() { s.health.Connected = false })
		later(30 * time.Second)
		s.set(func() { s.health.Connected = true })
		later(90 * time.Second)
		if n := s.tries(); n != 7 {
			t.Errorf("%d tries when the router was back", n)
		}
		stop()
		k, stop = s.replica(name)
		later(90 * time.Second)
		if n := s.tries(); n != 8 {
			t.Errorf("%d tries after a restart", n)
		}
		later(time.Minute)
		if n := s.tries(); n != 8 {
			t.Errorf("%d tries after the pause begins again", n)
		}
		for what, spoil := range map[string]func(){
			"another name": func() { s.names = []string{"nas.home.example.org"} },
			"it ends on":   func() { s.life = -time.Hour },
		} {
			s.set(func() { s.fail, s.names, s.life = nil, nil, 90*24*time.Hour; spoil() })
			later(16 * time.Minute)
			if _, err := k.Certificate(nil); err == nil || !strings.Contains(k.Status().Problem, "of no use") {
				t.Errorf("%s: %+v", what, k.Status())
			}
		}
		s.set(func() { s.names, s.life = nil, 90*24*time.Hour })
		later(16 * time.Minute)
		shown(t, k)
		if s.row.Problem != "" || s.row.Failures != 0 {
			t.Errorf("%+v", s.row)
		}
		stop()

		// Another name is another certificate, at once; a name of nobody's domain is none.
		k, stop = s.replica("mqtt.example.org")
		later(time.Second)
		if err := shown(t, k).VerifyHostname("mqtt.example.org"); err != nil || s.row.Site != "elsewhere" {
			t.Error(err)
		}
		stop()
		n := s.tries()
		k, stop = s.replica("nas.home.example.org")
		later(time.Hour)
		if st := k.Status(); !strings.Contains(st.Problem, "nas.home.example.org") || !strings.Contains(st.Problem, "mqtt. in front") || !st.Next.IsZero() || !strings.Contains(st.Problem, "proxy.domain") || s.tries() != n {
			t.Errorf("%+v, %d", st, s.tries()-n)
		}
		stop()
	})
}

// Who is killed while asking is not waited for for long; who is stopped leaves no trace.
func TestKeeperCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.takes = time.Hour
		_, stop := s.replica(name)
		later(time.Second)
		killed := s.row
		stop()
		if s.row.Asking.After(time.Now()) || s.row.Problem != "" {
			t.Errorf("stopped: %+v", s.row)
		}
		s.row, s.takes = killed, 0
		k, stop := s.replica(name)
		defer stop()
		later(time.Minute)
		if s.tries() != 1 {
			t.Errorf("%d asked while another may be asking", s.tries())
		}
		later(askAgain)
		shown(t, k)
	})
}

// Who asks for so long that another replica does, too, and then fails, says nothing against what that one
// has got.
func TestKeeperTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared(t)
		s.takes, s.life = 5*time.Minute, 90*24*time.Hour
		a, stopA := s.replica(name)
		defer stopA()
		later(time.Second)
		s.set(func() { s.takes = 0 })
		b, stopB := s.replica(name)
		defer stopB()
		later(askAgain + time.Minute)
		got := shown(t, b)
		s.set(func() { s.fail = errors.New("asked for too long") })
		later(5 * time.Minute)
		if s.tries() != 2 || !shown(t, a).Equal(got) || a.Status().Problem != "" || b.Status().Problem != "" {
			t.Errorf("%d tries; %+v, %+v", s.tries(), a.Status(), b.Status())
		}
	})
}
