package treetest

import (
	"go/ast"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport names, folder by folder, our packages that may be imported there and, after a
// minus, the standard ones that may not. "x/..." stands for x and all below. A line gets
// shorter freely, longer only with an ADR. Tests are not bound by it, but by apart.
//
//	cmd ─► core | web | cli, agent ─► their own rooms ─► link, knock, policy ─► ownline ─► standard library
var mayImport = map[string]string{
	// Words and values: no socket, no file, no log.
	"internal/ownline": pure, // net.JoinHostPort and net/url are text; sockets are seen in review
	"internal/knock":   "internal/ownline -net -log/slog " + pure,
	"internal/policy":  "internal/ownline -net -log/slog " + pure,
	// The packets of fwknop's clients.
	"internal/knock/fwknop":            "internal/knock internal/ownline -net -log/slog " + pure,
	"internal/knock/fwknop/fwknoptest": "internal/knock/fwknop",
	// A guest's link and what is sealed with it.
	"internal/invitation": "internal/ownline -net -log/slog " + pure,
	"internal/version":    "",

	// What every program shares.
	"internal/config":    "internal/ownline",
	"internal/logging":   "",
	"internal/systemd":   "",
	"internal/wholefile": "",
	"internal/link":      "internal/knock internal/ownline",

	// The router. Neighbours do not know each other; only core.go knows concrete types.
	"cmd/ownline-core":                 "internal/config internal/core internal/core/doctor internal/core/session internal/link internal/logging internal/ownline internal/version",
	"internal/core":                    "internal/config internal/core/... internal/knock internal/knock/fwknop internal/link internal/logging internal/ownline internal/version internal/wholefile",
	"internal/core/udpknock":           "internal/core/firewall internal/knock internal/knock/fwknop internal/link internal/ownline",
	"internal/core/session":            "internal/core/firewall internal/link internal/ownline",
	"internal/core/reconcile":          "internal/core/firewall internal/core/session internal/link internal/logging internal/ownline",
	"internal/core/trustclock":         "",
	"internal/core/portmap":            "internal/link internal/logging internal/ownline",
	"internal/core/doctor":             "internal/config internal/core/firewall internal/core/firewall/hostinfo internal/core/firewall/hostrules internal/core/firewall/twin internal/core/session internal/link internal/ownline internal/wholefile",
	"internal/core/firewall":           "internal/ownline",
	"internal/core/firewall/firewalld": "internal/core/firewall internal/core/firewall/netlink internal/core/firewall/nft internal/ownline",
	"internal/core/firewall/flows":     "internal/core/firewall internal/core/firewall/netlink internal/logging internal/ownline",
	"internal/core/firewall/fwtest":    "internal/core/firewall internal/ownline",
	"internal/core/firewall/hostinfo":  "internal/core/firewall internal/core/firewall/netlink internal/ownline",
	"internal/core/firewall/hostrules": "internal/core/firewall internal/core/firewall/netlink",
	"internal/core/firewall/twin":      "internal/core/firewall internal/core/firewall/netlink",
	"internal/core/firewall/iptables":  "internal/core/firewall internal/core/firewall/flows internal/core/firewall/netlink internal/ownline",
	"internal/core/firewall/netlink":   "",
	"internal/core/firewall/nft":       "internal/core/firewall internal/core/firewall/flows internal/core/firewall/netlink internal/logging internal/ownline",

	"internal/core/doorstep":            "internal/core/proxy/page internal/logging",
	"internal/core/loopback":            "internal/core/firewall/netlink",
	"internal/core/proxy":               "internal/link internal/ownline",
	"internal/core/proxy/caddy":         "internal/core/proxy internal/core/proxy/gate internal/core/proxy/keeper internal/core/proxy/login internal/core/proxy/page internal/link internal/logging internal/ownline",
	"internal/core/proxy/acme":          "internal/logging internal/ownline",
	"internal/core/proxy/acme/acmetest": "",
	"internal/core/proxy/cert":          "internal/logging internal/ownline internal/wholefile",
	"internal/core/proxy/embedded":      "internal/core/proxy internal/core/proxy/login internal/core/proxy/page internal/link internal/logging internal/ownline",
	"internal/core/proxy/gate":          "internal/core/firewall/netlink internal/core/proxy internal/core/proxy/login internal/core/proxy/page internal/logging internal/ownline internal/wholefile",
	"internal/core/proxy/gate/gatetest": "internal/core/proxy/gate internal/core/proxy/keeper internal/core/proxy/proxytest internal/link internal/ownline",
	"internal/core/proxy/keeper":        "internal/link internal/logging internal/ownline",
	"internal/core/proxy/login":         "internal/core/proxy/page internal/link internal/logging internal/ownline",
	"internal/core/proxy/nginx":         "internal/core/proxy internal/core/proxy/gate internal/core/proxy/keeper internal/core/proxy/login internal/core/proxy/page internal/link internal/logging internal/ownline internal/wholefile",
	"internal/core/proxy/page":          "",
	"internal/core/proxy/proxytest":     "internal/core/loopback internal/core/proxy internal/core/proxy/login internal/link internal/ownline",

	// The server. Only web.go knows concrete types; api sees access, and not the store.
	"cmd/ownline-web":              "internal/command internal/config internal/link internal/logging internal/ownline internal/systemd internal/version internal/web internal/web/... internal/wholefile",
	"internal/web":                 "internal/broker internal/config internal/knock internal/link internal/logging internal/ownline internal/policy internal/systemd internal/version internal/web/... internal/wholefile",
	"internal/web/api":             "internal/invitation internal/logging internal/ownline internal/version internal/web/access internal/web/auth internal/web/oidc",
	"internal/web/access":          "internal/invitation internal/knock internal/knock/fwknop internal/link internal/logging internal/ownline internal/policy internal/web/icon internal/web/serverblock",
	"internal/web/icon":            "internal/ownline",
	"internal/web/serverblock":     "internal/link internal/ownline",
	"internal/web/auth":            "internal/logging internal/ownline",
	"internal/web/geoip":           "internal/logging internal/ownline",
	"internal/web/geoip/geoiptest": "",
	"internal/web/front":           "internal/logging",
	"internal/web/metrics":         "",
	"internal/web/oidc":            "internal/logging internal/ownline",
	"internal/web/notify":          "internal/logging internal/ownline",
	"internal/web/sites":           "internal/link internal/logging internal/ownline internal/policy",
	"internal/web/sites/coretest":  "internal/knock internal/link internal/ownline test/freeport",
	"internal/web/store":           "internal/knock internal/link internal/logging internal/ownline internal/policy",
	"internal/web/store/pgtest":    "",
	"internal/web/store/storetest": "internal/knock internal/link internal/ownline internal/web/store internal/web/store/pgtest",
	"internal/web/transfer":        "internal/config internal/ownline internal/web/access",
	"internal/web/ui":              "",

	// Guests who redeem an invitation, and the broker between them and us.
	"internal/broker":            "internal/logging internal/ownline",
	"internal/broker/brokertest": "test/freeport",
	"internal/web/guestpage":     "internal/ownline",
	"internal/web/redeem":        "internal/invitation internal/logging internal/ownline internal/web/access internal/web/follow",
	"internal/web/mqttknock":     "internal/knock internal/link internal/logging internal/ownline internal/web/access internal/web/follow",
	"internal/web/mqttbroker":    "internal/broker internal/knock internal/logging internal/ownline internal/web/access internal/web/follow",
	"internal/web/brokercert":    "internal/link internal/logging internal/ownline internal/web/access internal/web/follow",
	"internal/web/follow":        "internal/logging internal/web/access",

	// The command line and the agent: they meet the server in apiclient and the router in knock.
	"internal/command":        "internal/ownline internal/version", // what the programs that use cobra share
	"cmd/ownline":             "internal/agent/... internal/apiclient internal/cli internal/command internal/logging internal/ownline internal/version test/bed test/demo test/world",
	"internal/cli":            "internal/agent/... internal/apiclient internal/command internal/knock internal/logging internal/ownline internal/version",
	"internal/agent":          "internal/agent/... internal/broker internal/knock internal/logging internal/ownline",
	"internal/agent/keyring":  "internal/ownline",
	"internal/agent/profile":  "internal/knock internal/ownline internal/wholefile",
	"internal/agent/install":  "",
	"internal/agent/schedule": pure,
	"internal/agent/watch":    "internal/agent/schedule internal/logging",
	"internal/apiclient":      "internal/ownline",

	// Tests.
	"internal/treetest":    "", // its tests read config
	"test/bed":             "",
	"test/bed/bedtest":     "test/bed test/bed/firewalls",
	"test/bed/firewalls":   "test/bed",
	"test/freeport":        "",
	"test/world":           "internal/knock internal/ownline test/bed",
	"test/world/worldtest": "test/bed test/bed/bedtest test/world",
	"test/app":             "internal/... test/...",
	"test/bench":           "internal/... test/...",
	"test/commands":        "internal/... test/...",
	"test/guest":           "internal/... test/...",
	"test/demo":            "internal/knock internal/ownline test/bed test/world",
	"test/schemathesis":    "internal/...",
	"test/e2e":             "internal/... test/...",
}

// pure is what packages of values have no business with. That they read no clock either is
// TestNoClock.
const pure = "-net/http -os -os/exec -syscall -log -io/fs"

// apart are trees whose packages never import each other's, in tests neither. A test that
// needs both sides belongs into test/e2e.
var apart = [][2]string{
	{"internal/core", "internal/web"},
	{"internal/cli", "internal/web"},
	{"internal/cli", "internal/core"},
	{"internal/agent", "internal/web"},
	{"internal/agent", "internal/core"},
	{"internal/apiclient", "internal/web"},
	{"internal/apiclient", "internal/core"},
	{"cmd/ownline-core", "internal/web"},
	{"cmd/ownline-web", "internal/core"},
}

// homes are where outside libraries may be imported, so that each can be exchanged, and so
// that ownline-core carries no SQL, no web framework and no PWA onto a small router. Tests may
// use test libraries anywhere.
var homes = map[string]string{
	"rsc.io/qr":                               "internal/web/api internal/cli",
	"github.com/alexedwards/argon2id":         "internal/web/auth",
	"github.com/caddyserver/certmagic":        "internal/core/proxy/acme",
	"github.com/mholt/acmez/v3":               "internal/core/proxy/acme",
	"go.uber.org/zap":                         "internal/core/proxy/acme",
	"github.com/letsencrypt/challtestsrv":     "internal/core/proxy/acme/acmetest",
	"github.com/letsencrypt/pebble/v2":        "internal/core/proxy/acme/acmetest",
	"github.com/coreos/go-oidc/v3":            "internal/web/oidc",
	"golang.org/x/oauth2":                     "internal/web/oidc",
	"golang.org/x/net":                        "internal/core/proxy/embedded", // http2/hpack
	"github.com/danielgtaylor/huma":           "internal/web/api",
	"github.com/dustin/go-humanize":           "internal/cli",
	"github.com/quic-go/qpack":                "internal/core/proxy/embedded", // for a test
	"github.com/quic-go/quic-go":              "internal/core/proxy/embedded",
	"github.com/pion/stun/v3":                 "test/world/worldtest",
	"github.com/mochi-mqtt/server/v2":         "internal/broker internal/web/mqttbroker",
	"github.com/go-webauthn/webauthn":         "internal/web/auth",
	"github.com/google/uuid":                  "internal/ownline",
	"github.com/maxmind/mmdbwriter":           "internal/web/geoip/geoiptest",
	"github.com/oschwald/maxminddb-golang/v2": "internal/web/geoip",
	"github.com/godbus/dbus/v5":               "internal/agent/keyring internal/core/firewall/firewalld",
	"github.com/huin/goupnp":                  "internal/core/portmap",
	"github.com/jackpal/go-nat-pmp":           "internal/core/portmap",
	"github.com/zalando/go-keyring":           "internal/agent/keyring",
	"github.com/makiuchi-d/gozxing":           "internal/cli",
	"github.com/mattn/go-isatty":              "cmd/... internal/cli internal/command",
	"github.com/nicholas-fedor/shoutrrr":      "internal/web/notify",
	"github.com/pquerna/otp":                  "internal/web/auth",
	"github.com/pressly/goose":                "internal/web/store/...",
	"github.com/prometheus/client_golang":     "internal/web/metrics",
	"github.com/spf13/cobra":                  "cmd/ownline cmd/ownline-web internal/cli internal/command",
	"github.com/spf13/pflag":                  "cmd/ownline cmd/ownline-web internal/cli internal/command",
	"github.com/vishvananda/netlink":          "test/bed",
	"github.com/vishvananda/netns":            "test/bed",
	"go.yaml.in/yaml/v3":                      "internal/config internal/cli internal/web/transfer",
	"golang.org/x/crypto":                     "internal/web/auth",
	"golang.org/x/image":                      "internal/web/icon",
	"golang.org/x/sync":                       "internal/broker internal/core internal/core/doctor internal/web/... internal/cli internal/agent/... test/...",
	"golang.org/x/sys":                        "internal/core/... internal/agent/... test/... cmd/...",
	"golang.org/x/text":                       "internal/web/access internal/web/api",
	"golang.org/x/term":                       "cmd/... internal/cli internal/command",
	"modernc.org/sqlite":                      "internal/web/store/...",
	"github.com/google/go-cmp":                "",
	"github.com/google/nftables":              "",
	"github.com/fsnotify/fsnotify":            "internal/agent/profile",
	"github.com/gofrs/flock":                  "internal/agent",
	"github.com/kardianos/service":            "internal/agent/install",
	"github.com/jsimonetti/rtnetlink/v2":      "internal/agent/watch",
	"github.com/mdlayher/netlink":             "internal/agent/watch",
	"github.com/rogpeppe/go-internal":         "",
	"github.com/jackc/pgx":                    "internal/web/store/...",
	"github.com/gorilla/websocket":            "internal/broker internal/core/proxy/proxytest internal/web/mqttbroker",
	"google.golang.org/grpc":                  "internal/core/proxy/proxytest",
}

// within reports whether a name is among patterns, of which "x/..." stands for x and all
// below.
func within(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		tree, ok := strings.CutSuffix(p, "/...")
		return name == p || ok && below(name, tree)
	})
}

func below(name, tree string) bool { return name == tree || strings.HasPrefix(name, tree+"/") }

func imports(f goFile) []string {
	var out []string
	for _, i := range f.ast.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // the parser has read it
		}
		out = append(out, name)
	}
	return out
}

func TestImports(t *testing.T) {
	tree := goFiles(t)
	for folder := range mayImport {
		if tree[folder] == nil {
			t.Errorf("mayImport has a line for %s, where there is no Go", folder)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(tree)) {
		line, listed := mayImport[folder]
		if !listed {
			t.Errorf("%s: has no line in mayImport; which of our packages may it import, and why?", folder)
			continue
		}
		var may, not []string
		for word := range strings.FieldsSeq(line) {
			if std, ok := strings.CutPrefix(word, "-"); ok {
				not = append(not, std)
			} else {
				may = append(may, word)
			}
		}
		for _, f := range tree[folder] {
			for _, name := range imports(f) {
				ours, isOurs := strings.CutPrefix(name, module+"/")
				switch {
				case isOurs:
					for _, p := range apart {
						if below(folder, p[0]) && below(ours, p[1]) || below(folder, p[1]) && below(ours, p[0]) {
							t.Errorf("%s imports %s: they meet in link, apiclient and spec only", f.name, ours)
						}
					}
					if !f.test && !within(ours, may) {
						t.Errorf("%s imports %s, which mayImport does not allow for %s", f.name, ours, folder)
					}
				case !f.test && slices.Contains(not, name):
					t.Errorf("%s imports %s, which %s has no business with", f.name, name, folder)
				}
			}
		}
	}
}

func TestHomes(t *testing.T) {
	for folder, in := range goFiles(t) {
		for _, f := range in {
			for _, name := range imports(f) {
				first, _, _ := strings.Cut(name, "/")
				if f.test || !strings.Contains(first, ".") || below(name, module) {
					continue
				}
				known := false
				for lib, home := range homes {
					if !below(name, lib) {
						continue
					}
					known = true
					if !within(folder, strings.Fields(home)) {
						t.Errorf("%s imports %s, whose home is %q", f.name, name, home)
					}
				}
				if !known {
					t.Errorf("%s imports %s, which has no home yet; give it one in homes", f.name, name)
				}
			}
		}
	}
}

// Whoever decides is told the time: decisions can then be tested at any moment, and core can
// judge knocks by a clock other than its own.
func TestNoClock(t *testing.T) {
	for folder, in := range goFiles(t) {
		if !within(folder, []string{"internal/ownline", "internal/knock", "internal/policy", "internal/invitation"}) {
			continue
		}
		for _, f := range in {
			if f.test {
				continue
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "NewTimer", "NewTicker", "Tick"}, s.Sel.Name) {
					t.Errorf("%s reads the clock by time.%s", f.name, s.Sel.Name)
				}
				return true
			})
		}
	}
}
