package portmap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// igd is a router with UPnP on the loopback interface.
type igd struct {
	*httptest.Server
	t           *testing.T
	description string // %s is the control URL
	control     string
	kind        string

	mu     sync.Mutex
	acts   []string                     // "AddPortMapping 198.51.100.7 20000 TCP 60"
	refuse func(act, remote string) int // error of an action; 0: none
	client string                       // that GetSpecificPortMappingEntry names; "": 714
	addr   string
}

const usualDescription = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceType>igd</deviceType><deviceList><device>
<serviceList><service><serviceType>%s</serviceType><controlURL>%s</controlURL></service></serviceList></device></deviceList></device></root>`

func newIGD(t *testing.T) *igd {
	t.Helper()
	g := &igd{t: t, description: usualDescription, control: "/control", kind: upnpServices[0], addr: "203.0.113.9", refuse: func(string, string) int { return 0 }}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /root.xml", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, g.description, g.kind, g.control) })
	mux.HandleFunc("POST /control", g.act)
	mux.HandleFunc("GET /elsewhere", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/root.xml")
		w.WriteHeader(302)
	})
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func (g *igd) at(path string) *url.URL {
	u, err := url.Parse(g.URL + path)
	if err != nil {
		g.t.Fatal(err)
	}
	return u
}

var argument = regexp.MustCompile(`<(New\w+)>([^<]*)</`)

func (g *igd) act(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	args := map[string]string{}
	for _, m := range argument.FindAllStringSubmatch(string(body), -1) {
		args[m[1]] = m[2]
	}
	service, act, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
	g.mu.Lock()
	defer g.mu.Unlock()
	if service != g.kind {
		g.t.Errorf("asked of %s", service)
	}
	code := g.refuse(act, args["NewRemoteHost"])
	out := ""
	switch act {
	case "GetExternalIPAddress":
		out = "<NewExternalIPAddress>" + g.addr + "</NewExternalIPAddress>"
	case "GetSpecificPortMappingEntry":
		if g.client == "" {
			code = upnpNoSuchEntry
		}
		out = "<NewInternalPort>20000</NewInternalPort><NewInternalClient>" + g.client + "</NewInternalClient>"
	case "AddPortMapping":
		if args["NewInternalClient"] != "127.0.0.1" || args["NewInternalPort"] != args["NewExternalPort"] || args["NewEnabled"] != "1" {
			g.t.Errorf("asked with %v", args)
		}
		fallthrough
	default:
		g.acts = append(g.acts, strings.Join(strings.Fields(strings.Join([]string{act, args["NewRemoteHost"], args["NewExternalPort"], args["NewProtocol"], args["NewLeaseDuration"]}, " ")), " "))
	}
	if code != 0 {
		w.WriteHeader(500)
		fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>evil words</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
		return
	}
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:%sResponse xmlns:u="%s">%s</u:%sResponse></s:Body></s:Envelope>`, act, service, out, act)
}

func (g *igd) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *igd) did(what string, want ...string) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Equal(g.acts, want) {
		g.t.Errorf("%s, it did %q, want %q", what, g.acts, want)
	}
	g.acts = nil
}

func (g *igd) dial() *upnp {
	g.t.Helper()
	p, err := dialUPnPAt(g.t.Context(), g.at("/root.xml"), loopback, loopback)
	if err != nil {
		g.t.Fatal(err)
	}
	return p.(*upnp)
}

// The router is told the one source, or that everybody may come; it is never asked for a port for ever.
func TestUPnPOpens(t *testing.T) {
	for _, kind := range upnpServices {
		g := newIGD(t)
		g.kind = kind
		p := g.dial()
		if got := p.external(); got != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("its address is %s", got)
		}
		open := func(what string, narrow bool, sources ...netip.Addr) {
			t.Helper()
			got, err := p.open(t.Context(), &Opening{Transport: ownline.TCP, Port: 20000, Sources: sources}, time.Minute)
			if err != nil || got != (grant{time.Minute, narrow}) {
				t.Errorf("%s, it gives %+v, %v", what, got, err)
			}
		}
		open("for one", true, ana)
		g.did("for one", "AddPortMapping 198.51.100.7 20000 TCP 60")
		open("renewed", true, ana)
		g.did("renewed", "AddPortMapping 198.51.100.7 20000 TCP 60")
		open("for two", false, ana, bob)
		g.did("for two", "DeletePortMapping 198.51.100.7 20000 TCP", "AddPortMapping 20000 TCP 60")
		if err := p.shut(t.Context(), tcp20000); err != nil {
			t.Error(err)
		}
		g.did("shut", "DeletePortMapping 20000 TCP")
		if err := p.shut(t.Context(), tcp20000); err != nil {
			t.Error(err)
		}
		g.did("shut again")
		// Somebody before this core opened it.
		g.change(func() { g.client = "127.0.0.1" })
		open("left open", true, ana)
		g.did("left open", "DeletePortMapping 198.51.100.7 20000 TCP", "DeletePortMapping 20000 TCP", "AddPortMapping 198.51.100.7 20000 TCP 60")
		// The router takes renewals for conflicts.
		conflict := true
		g.change(func() {
			g.refuse = func(act, _ string) int {
				if act == "AddPortMapping" && conflict {
					conflict = false
					return upnpConflict
				}
				return 0
			}
		})
		open("renewed against a conflict", true, ana)
		g.did("renewed against a conflict", "AddPortMapping 198.51.100.7 20000 TCP 60", "DeletePortMapping 198.51.100.7 20000 TCP", "AddPortMapping 198.51.100.7 20000 TCP 60")
	}
}

func TestUPnPRefuses(t *testing.T) {
	for code, want := range map[int]string{
		upnpOnlyPermanent: "the router refuses: UPnP error 725: it opens ports for ever only, which is not asked of it",
		upnpConflict:      "the router refuses: UPnP error 718: another device has the port",
		606:               "the router refuses: UPnP error 606: not authorised",
		799:               "the router refuses: UPnP error 799",
	} {
		g := newIGD(t)
		g.client = "127.0.0.99" // another device's, which is left alone
		g.refuse = func(act, _ string) int {
			if act == "AddPortMapping" {
				return code
			}
			return 0
		}
		if _, err := g.dial().open(t.Context(), wanted, time.Minute); err == nil || err.Error() != want || !refused(err) {
			t.Errorf("%d: %v", code, err)
		}
		g.did(want, "AddPortMapping 198.51.100.7 20000 TCP 60")
	}
	g := newIGD(t)
	g.refuse = func(act, remote string) int {
		if act == "AddPortMapping" && remote != "" {
			return upnpOnlyWildcardHost
		}
		return 0
	}
	if got, err := g.dial().open(t.Context(), wanted, time.Minute); err != nil || got.narrow {
		t.Errorf("it gives %+v, %v", got, err)
	}
	g.did("a router without sources", "AddPortMapping 198.51.100.7 20000 TCP 60", "AddPortMapping 20000 TCP 60")
}

// A router that has forgotten a port is found out by asking for it.
func TestUPnPLook(t *testing.T) {
	g := newIGD(t)
	p := g.dial()
	look := func(when string, lost bool) {
		t.Helper()
		if got, err := p.look(t.Context(), []key{tcp20000}); got != lost || err != nil {
			t.Errorf("%s, lost is %v, %v", when, got, err)
		}
	}
	look("without it", true)
	g.change(func() { g.client = "127.0.0.1" })
	look("with it", false)
	g.change(func() { g.client = "127.0.0.99" })
	look("with another's", true)
	g.Close()
	if _, err := p.look(t.Context(), nil); err == nil || refused(err) {
		t.Errorf("without a router: %v", err)
	}
}

// Nothing but the router is asked, whatever it says, and no more is read than a router has to say.
func TestUPnPTrustsNobody(t *testing.T) {
	dial := func(g *igd, path string) error {
		_, err := dialUPnPAt(t.Context(), g.at(path), loopback, loopback)
		return err
	}
	asked := false
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: other, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true })}}
	server.Start()
	defer server.Close()

	g := newIGD(t)
	if err := dial(g, "/root.xml"); err != nil {
		t.Fatal(err)
	}
	if err := dial(g, "/elsewhere"); err == nil {
		t.Error("a redirection is followed")
	}
	for _, control := range []string{server.URL + "/control", "http://user@" + g.Listener.Addr().String() + "/control", "https://127.0.0.1/control", "://"} {
		g.control = control
		if err := dial(g, "/root.xml"); err == nil {
			t.Errorf("%s is asked", control)
		}
	}
	g.control = "/control"
	g.description = strings.Replace(usualDescription, "<device>", "<URLBase>"+server.URL+"</URLBase><device>", 1)
	if err := dial(g, "/root.xml"); err == nil {
		t.Error("another's base is asked")
	}
	g.description = strings.Replace(usualDescription, "<device>", "<!--"+strings.Repeat(" ", webMax)+"--><device>", 1)
	if err := dial(g, "/root.xml"); err == nil {
		t.Error("what is too long is read")
	}
	if _, err := dialUPnPAt(t.Context(), &url.URL{Scheme: "http", Host: other.Addr().String(), Path: "/"}, loopback, loopback); err == nil {
		t.Error("another's description is read")
	}
	client := webClient(loopback)
	if _, err := client.Get(server.URL); err == nil || asked {
		t.Errorf("somebody else is asked: %v", err)
	}
	if u, _ := url.Parse("http://localhost:1900/"); of(u, loopback) {
		t.Error("a name is taken for the router")
	}
}

// Who answers a search in the router's place is not heard.
func TestSearch(t *testing.T) {
	answer := func(at string, text string) netip.AddrPort {
		conn, err := net.ListenPacket("udp4", at+":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			buf := make([]byte, 2048)
			for {
				n, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				if s := string(buf[:n]); !strings.HasPrefix(s, "M-SEARCH * HTTP/1.1\r\n") || !strings.Contains(s, "MAN: \"ssdp:discover\"\r\n") {
					t.Errorf("it is asked\n%s", s)
				}
				conn.WriteTo([]byte(text), from)
			}
		}()
		return conn.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	text := func(st, location string) string {
		return "HTTP/1.1 200 OK\r\nST: " + st + "\r\nUSN: uuid:1\r\nLOCATION: " + location + "\r\n\r\n"
	}
	const st = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
	request, err := http.NewRequestWithContext(t.Context(), "M-SEARCH", "*", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.URL = &url.URL{Opaque: "*"}
	request.Header = http.Header{"MAN": {`"ssdp:discover"`}, "ST": {st}}
	ask := func(to ...netip.AddrPort) ([]*http.Response, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		return (&searcher{loopback, loopback, to}).DoWithContext(request.WithContext(ctx), 1)
	}
	router := answer("127.0.0.1", text(st, "http://127.0.0.1:1/root.xml"))
	impostor := answer("127.0.0.2", text(st, "http://127.0.0.2:1/root.xml"))
	other := answer("127.0.0.1", text("upnp:rootdevice", "http://127.0.0.1:1/other.xml"))
	garbage := answer("127.0.0.1", "garbage")
	if got, err := ask(impostor, other, garbage, router); err != nil || len(got) != 1 || got[0].Header.Get("Location") != "http://127.0.0.1:1/root.xml" {
		t.Errorf("it hears %v, %v", got, err)
	}
	if got, err := ask(impostor, other, garbage); !errors.Is(err, errSilent) {
		t.Errorf("without the router, it hears %v, %v", got, err)
	}
}
