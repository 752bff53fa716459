package iptables_test

import (
	"log/slog"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/core/firewall/iptables"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/test/bed"
	"github.com/ownline/ownline/test/bed/bedtest"
)

// Who changes to this driver has it in the log what that costs, the filter of knocks among it.
func TestLacksAreLogged(t *testing.T) {
	var log strings.Builder
	d := newDriver(t, bedtest.New(t).Router, iptables.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if lacks := d.Lacks().Error(); !strings.Contains(lacks, "no filter") || !strings.Contains(log.String(), "without="+strconv.Quote(lacks)) {
		t.Errorf("it lacks %q, and logs\n%s", lacks, &log)
	}
}

// Sets and core end sessions, too, as Promises says.
func TestOtherEndings(t *testing.T) {
	for _, e := range []iptables.Ending{iptables.BySet, iptables.ByCore} {
		t.Run(string(e), func(t *testing.T) {
			each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
				cfg.Ending = e
				contract(t, b, cfg, func(name string) bool {
					if long() {
						return true
					}
					// A few for each, which together are all.
					v6 := (cfg.Variant == "nft") == (e == iptables.BySet)
					family := map[bool]string{false: "IPv4 udp/", true: "IPv6 tcp/"}[v6]
					return strings.HasPrefix(name, family) && (!strings.Contains(name, "a renewal") || strings.Contains(name, "may shorten"))
				})
			})
		})
	}
}

// By set, flows are cut by the kernel as by time.
func TestFlowsEndBySet(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		cfg.Ending = iptables.BySet
		endOnTime(t, b, cfg)
	})
}

// Where core ends sessions, they stay open while it does not run, as Promises says.
func TestCoreIsDead(t *testing.T) {
	each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
		serveWho(t, b.Lan)
		cfg.Ending = iptables.ByCore
		s := sides(b)[0]
		d := newDriver(t, b.Router, cfg)
		f := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), 500*time.Millisecond)
		at := netip.AddrPortFrom(s.Router, 24000)
		sync(t, d, ruleset(settings, f))
		time.Sleep(time.Until(f.Until.Add(d.Ending().Promises().Late)))
		if _, open := s.Client.AskWho(patience, "tcp", at); open == d.Ending().Promises().CoreIsDead {
			t.Errorf("without core, the session is open after its time: %v", open)
		}
		// The next core ends it, even before it knows what should be open.
		next := newDriver(t, b.Router, cfg)
		sync(t, next, ruleset(settings))
		if _, open := s.Client.AskWho(patience, "tcp", at); open {
			t.Error("the next core leaves it open")
		}
	})
}

// Two sessions that differ in the public port alone end apart, but for sets.
func TestApart(t *testing.T) {
	for _, e := range []iptables.Ending{iptables.ByTime, iptables.BySet} {
		t.Run(string(e), func(t *testing.T) {
			each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
				if _, err := b.StartServers(); err != nil {
					t.Fatal(err)
				}
				cfg.Ending = e
				s := sides(b)[0]
				d := newDriver(t, b.Router, cfg)
				f := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, bed.EchoPort), time.Hour)
				g := forward(s.Addr(s.Client), ownline.TCP, 24001, f.Target, time.Hour)
				sync(t, d, ruleset(settings, f, g))
				flow := startLong(t, s.Client, ownline.TCP, netip.AddrPortFrom(s.Router, f.Port))
				promises := d.Ending().Promises()
				began := time.Now()
				f.Until = began.Add(2 * time.Second) // only now, however long that took
				change(t, d, []firewall.Forward{f})
				end := f.Until.Add(promises.Late + time.Since(began))
				if promises.Apart {
					cut(t, flow, bed.Cut{}, end)
				}
				time.Sleep(time.Until(end.Add(late)))
				if flow.Report().Cut != nil && !promises.Apart {
					t.Error("the flow of the first is cut")
				}
				if st := probe(s.Client, ownline.TCP, netip.AddrPortFrom(s.Router, f.Port)); st != bed.Refused {
					t.Errorf("its port is %s for a new connection", st)
				}
				if st := probe(s.Client, ownline.TCP, netip.AddrPortFrom(s.Router, g.Port)); st != bed.Open {
					t.Errorf("the other's port is %s", st)
				}
				// Core ends it as well, when it does something.
				now := time.Now()
				change(t, d, nil, firewall.Key{Source: f.Source, Transport: f.Transport, Port: 1})
				cut(t, flow, bed.Cut{}, now.Add(late))
				flow.Stop()
			})
		})
	}
}

// A host's clock that is set moves the end of sessions where rules say a time, and nowhere else, as Promises
// says; core ends them in time all the same. This machine's clock is everybody's, so not the clock is set
// back, but what rules say forward: to the kernel that is the same.
func TestTheClockIsSet(t *testing.T) {
	const ahead = time.Minute
	stops := regexp.MustCompile(`--datestop \S+`)
	for _, e := range []iptables.Ending{iptables.ByTime, iptables.BySet, iptables.ByCore} {
		t.Run(string(e), func(t *testing.T) {
			each(t, func(t *testing.T, b *bed.Bed, cfg iptables.Config) {
				serveWho(t, b.Lan)
				cfg.Ending = e
				s := sides(b)[0]
				d := newDriver(t, b.Router, cfg)
				promises := d.Ending().Promises()
				f := forward(s.Addr(s.Client), ownline.TCP, 24000, netip.AddrPortFrom(s.LAN, whoPort), 3*time.Second)
				sync(t, d, ruleset(settings, f))
				saved := tell(t, b.Router, "", "iptables-"+cfg.Variant+"-save")
				moved := stops.ReplaceAllStringFunc(saved, func(is string) string {
					at, err := time.Parse("2006-01-02T15:04:05", strings.TrimPrefix(is, "--datestop "))
					if err != nil {
						t.Fatal(err)
					}
					return "--datestop " + at.Add(ahead).Format("2006-01-02T15:04:05")
				})
				if (moved != saved) == promises.Clock {
					t.Errorf("rules say a time: %v", moved != saved)
				}
				tell(t, b.Router, moved, "iptables-"+cfg.Variant+"-restore")
				at := netip.AddrPortFrom(s.Router, 24000)
				if _, open := s.Client.AskWho(patience, "tcp", at); !open && time.Now().Before(f.Until) {
					t.Error("the session does not open")
				}
				if !promises.CoreIsDead {
					run(t, d)
				}
				time.Sleep(time.Until(f.Until.Add(promises.Late + late)))
				if _, open := s.Client.AskWho(patience, "tcp", at); open == promises.Clock {
					t.Errorf("after its time, the session is open: %v", open)
				}
				if promises.CoreIsDead {
					run(t, d)
				}
				for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
					if _, open := s.Client.AskWho(patience, "tcp", at); !open {
						break
					}
					if time.Now().After(end) {
						t.Fatal("core does not end it")
					}
				}
			})
		})
	}
}
