package web

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/auth"
	"github.com/ownline/ownline/internal/web/store/pgtest"
)

// Invariant 2 with replicas: two webs on one database hear the same broker, and a knock counts
// once, is answered once and opens one session, also when one of the two is gone.
func TestKnockWithReplicas(t *testing.T) {
	database, key := pgtest.Database(t), filepath.Join(t.TempDir(), "secret.key")
	set := func(c *config.Web) { c.Database, c.SecretKeyFile = ownline.Secret(database), key }
	p := newParty(t, set)
	other := open(t, func(c *config.Web) {
		set(c)
		c.MQTT.URL = p.broker.TCP
	})
	_, stop := serve(t, other, nil)
	eventually(t, func() string {
		if other.broker.Status().Connected {
			return ""
		}
		return "the other web does not find the broker"
	})
	d := p.phone()
	if a := d.knock("198.51.100.50"); a.Sessions != 1 { // until both know the device
		t.Fatalf("the first knock: %+v", a)
	}
	const knocks = 8
	for i := range knocks {
		source := "198.51.100." + strconv.Itoa(60+i)
		n := newKnock(source)
		sealed := d.keys.Seal(n)
		a, ok := d.send(n.Nonce, 20*time.Second, sealed[:], sealed[:])
		if !ok || a.Status != knock.Opened || a.Sessions != 1 || a.Source.String() != source {
			t.Errorf("knock %d: %+v, %v", i, a, ok)
		}
		if a, ok := d.send(n.Nonce, 200*time.Millisecond, sealed[:]); ok {
			t.Errorf("knock %d counts again: %+v", i, a)
		}
	}
	sessions := p.core.Sessions()
	seen := make(map[string]int)
	for _, s := range sessions {
		seen[s.Source.String()]++
	}
	for source, n := range seen {
		if n != 1 {
			t.Errorf("%d sessions for %s", n, source)
		}
	}
	for name, w := range map[string]*Web{"one": p.web, "the other": other} {
		eventually(t, func() string {
			if n := w.broker.Counts().Taken; n < 3*knocks {
				return fmt.Sprintf("%s has heard %d messages", name, n)
			}
			return ""
		})
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if a := d.knock("198.51.100.90"); a.Sessions != 1 {
		t.Errorf("with one left: %+v", a)
	}
}

// Invariant 7 with replicas: a stream of events at one web is told soon that another has ended its login,
// and not only when it looks by itself, every 15 seconds.
func TestEndWithReplicas(t *testing.T) {
	database, key := pgtest.Database(t), filepath.Join(t.TempDir(), "secret.key")
	set := func(c *config.Web) { c.Database, c.SecretKeyFile = ownline.Secret(database), key }
	one, other := open(t, set), open(t, set)
	url, stop := serve(t, other, nil)
	ana, err := one.Access().AddUser(t.Context(), access.Command(), access.NewUser{Name: "ana", Password: "four words are enough"})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Minute
	for try := 0; try < 3 && took > 10*time.Second; try++ { // a machine may be busy once
		k, token, err := one.auth.AddToken(t.Context(), auth.Identity{User: ana}, fmt.Sprint("test", try), []string{ownline.ScopeFull}, time.Time{}, "", auth.Code{})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		r := bufio.NewReader(resp.Body)
		for line := ""; line != "\n"; {
			if line, err = r.ReadString('\n'); err != nil {
				t.Fatal(line, err)
			}
		}
		time.Sleep(time.Second) // what the account and its token were told of, which wakes the stream as well
		began := time.Now()
		if err := one.auth.RemoveToken(t.Context(), auth.Identity{User: ana}, ana.ID, k.ID); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(r)
		if took = time.Since(began); err != nil || !strings.HasSuffix(string(rest), "event: end\ndata: {}\n\n") {
			t.Fatalf("the stream said %q, %v", rest, err)
		}
	}
	if took > 10*time.Second {
		t.Errorf("it was told after %v", took)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
