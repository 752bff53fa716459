package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/store"
	"github.com/ownline/ownline/internal/web/store/pgtest"
)

// What a house with a long history has.
const (
	historySessions = 100_000
	historyUsers    = 20
	historyServices = 10
	historySites    = 2
	historyPage     = 50
	historyP99      = 50.0 // milliseconds that a request may take
)

// history measures how long a request for a page of a long history takes, over HTTP, with
// both databases. A p99 that is too long is an error.
func (b *bench) history(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "ownline-history-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cfg := config.DefaultWeb()
	cfg.Listen = "127.0.0.1:0"
	cfg.StateDir = filepath.Join(dir, "sqlite")
	slow := b.historyOf(ctx, "sqlite", filepath.Join(cfg.StateDir, "ownline.db"), cfg)

	server, err := pgtest.Start(pgtest.Options{Durable: true})
	if err != nil {
		return err
	}
	defer server.Close()
	name, err := server.Create()
	if err != nil {
		return err
	}
	cfg.StateDir, cfg.Database = filepath.Join(dir, "postgres"), ownline.Secret(server.Address(name))
	return errors.Join(slow, b.historyOf(ctx, "postgres", server.Address(name), cfg))
}

func (b *bench) historyOf(ctx context.Context, kind, database string, cfg config.Web) (err error) {
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		return err
	}
	ids, err := fillHistory(ctx, database, filepath.Join(cfg.StateDir, "secret.key"))
	if err != nil {
		return fmt.Errorf("fill %s: %w", kind, err)
	}
	w, err := web.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	const password = "correct horse battery"
	if _, err := w.Access().AddUser(ctx, access.Command(), access.NewUser{Name: "root", Password: password, Role: ownline.Admin}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	address, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- w.Serve(ctx, web.ServeOptions{Listening: func(a net.Addr) { address <- a.String() }})
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-done)
	}()
	c := &historyClient{base: "http://" + <-address + "/api/v1"}
	if err := c.login(ctx, "root", password); err != nil {
		return err
	}
	year := historyStart
	var slow []error
	for _, ask := range []struct {
		name  string
		query url.Values
	}{
		{"list", url.Values{}},
		{"user", url.Values{"user": {ids.users[7].String()}}},
		{"service", url.Values{"service": {ids.services[3].String()}}},
		{"site", url.Values{"site": {ids.sites[1].String()}}},
		{"state", url.Values{"state": {"ended"}}},
		{"live", url.Values{"state": {"live"}}},
		{"reason", url.Values{"reason": {"failed"}}},
		{"source", url.Values{"source": {"198.51.100.7"}}},
		{"source6", url.Values{"source": {"2001:db8::7"}}},
		{"span", url.Values{"from": {year.AddDate(0, 1, 0).Format(time.RFC3339)}, "until": {year.AddDate(0, 2, 0).Format(time.RFC3339)}}},
		{"user_and_span", url.Values{"user": {ids.users[3].String()}, "from": {year.Format(time.RFC3339)}, "until": {year.AddDate(0, 1, 0).Format(time.RFC3339)}}},
		{"user_and_service", url.Values{"user": {ids.users[3].String()}, "service": {ids.services[2].String()}}},
	} {
		times, err := c.pages(ctx, ask.query, b.runs(400))
		if err != nil {
			return fmt.Errorf("%s of %s: %w", ask.name, kind, err)
		}
		p99 := percentile(times, 0.99)
		b.add("history_"+kind+"_"+ask.name+"_p99_ms", p99, "ms")
		if p99 > historyP99 {
			slow = append(slow, fmt.Errorf("history of %s: a page by %s took %.1f ms at p99, more than %.0f ms", kind, ask.name, p99, historyP99))
		}
	}
	return errors.Join(slow...)
}

type historyIDs struct {
	users    []ownline.UserID
	services []ownline.ServiceID
	sites    []ownline.SiteID
}

var historyStart = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)

// fillHistory puts a year of sessions into a new database.
func fillHistory(ctx context.Context, database, key string) (ids historyIDs, err error) {
	s, err := store.OpenKeyFile(ctx, database, key)
	if err != nil {
		return ids, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	err = s.Write(ctx, func(t *store.Tx) error {
		for i := range historyUsers {
			u := ownline.User{ID: ownline.NewID[ownline.User](), Name: fmt.Sprintf("user%02d", i), Role: ownline.Person, Created: historyStart}
			ids.users = append(ids.users, u.ID)
			if err := t.AddUser(u, ""); err != nil {
				return err
			}
		}
		for i := range historySites {
			site := ownline.Site{
				ID: ownline.NewID[ownline.Site](), Name: fmt.Sprintf("site%d", i), Host: "h.example.org", Link: "127.0.0.1:1",
				Pin: fmt.Sprintf("pin%d", i), KnockPort: 54754, IPv6Prefix: 64, Created: historyStart,
			}
			ids.sites = append(ids.sites, site.ID)
			if err := t.AddSite(site); err != nil {
				return err
			}
		}
		for i := range historyServices {
			v := ownline.Service{
				ID: ownline.NewID[ownline.Service](), Site: ids.sites[i%historySites], Name: fmt.Sprintf("service%d", i), Kind: ownline.Forward,
				Transport: ownline.TCP, Target4: netip.MustParseAddrPort("192.168.7.10:22"), Created: historyStart,
			}
			ids.services = append(ids.services, v.ID)
			if err := t.AddService(v); err != nil {
				return err
			}
		}
		return nil
	})
	reasons := []ownline.EndReason{ownline.Expired, ownline.Expired, ownline.Expired, ownline.Closed, ownline.Replaced}
	step := 365 * 24 * time.Hour / historySessions
	for from := 0; err == nil && from < historySessions; from += 1000 {
		err = s.Write(ctx, func(t *store.Tx) error {
			for i := from; i < from+1000; i++ {
				n := i * 7919 // so that what is filtered by does not repeat in step
				opened := historyStart.Add(time.Duration(i) * step)
				e := ownline.Session{
					ID: ownline.NewID[ownline.Session](), Service: ids.services[n/3%historyServices], User: ids.users[n/31%historyUsers],
					Source:     netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(n / 17)}), 32),
					PublicPort: uint16(20000 + i%10000), Transport: ownline.TCP, Target: netip.MustParseAddrPort("192.168.7.10:22"),
					State: ownline.Ended, Reason: reasons[n/5%len(reasons)], Opened: opened, Expires: opened.Add(time.Hour), EndedAt: opened.Add(time.Hour),
				}
				e.Site = ids.sites[n/3%historyServices%historySites]
				if i%1000 == 0 {
					e.Reason = ownline.Failed
				}
				if err := t.AddSession(e); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return ids, err
}

type historyClient struct{ base, token string }

func (c *historyClient) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (c *historyClient) login(ctx context.Context, name, password string) error {
	var got struct{ Token string }
	err := c.do(ctx, "POST", "/auth/token", map[string]string{"name": name, "password": password, "label": "bench"}, &got)
	c.token = got.Token
	return err
}

// pages asks n times for a page, going on to the next one like somebody who reads on, and
// from the first again at the end.
func (c *historyClient) pages(ctx context.Context, query url.Values, n int) (times []time.Duration, err error) {
	cursor, first := "", true
	for range n {
		q := url.Values{"all": {"true"}, "limit": {fmt.Sprint(historyPage)}}
		for k, v := range query {
			q[k] = v
		}
		if cursor != "" {
			q.Set("cursor", cursor)
		}
		var got struct {
			Items []struct{ ID string }
			Next  string
		}
		began := time.Now()
		if err := c.do(ctx, "GET", "/sessions?"+q.Encode(), nil, &got); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
		if first && len(got.Items) == 0 && query.Get("state") != "live" && query.Get("source") != "2001:db8::7" {
			return nil, fmt.Errorf("nothing is found by %s", query.Encode())
		}
		cursor, first = got.Next, false
	}
	return times, nil
}
