package serverblock_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/serverblock"
)

func service(template string) ownline.Service {
	return ownline.Service{
		ID: ownline.ID[ownline.Service]{1}, Name: "wiki", Kind: ownline.Proxy, Target4: netip.MustParseAddrPort("192.168.7.12:80"), Target6: netip.MustParseAddrPort("[fd00:7::12]:80"),
		Proxy: ownline.ProxyOptions{PathPrefix: "/w", Template: template},
	}
}

func TestText(t *testing.T) {
	got, err := serverblock.Text(service("server {\n\tserver_name {{.Host}};\n{{.Listen}}\n{{.Guard}}\n{{range .Targets}}# {{.}}\n{{end}}# {{.Name}} {{.Pass}} {{.Scheme}} {{.Target}} {{.Port}} {{.Upstream}} {{printf \"%q\" .Prefix}}\n}\n"))
	want := "server {\n\tserver_name {ownline:host};\n{ownline:listen}\n{ownline:guard}\n# 192.168.7.12:80\n# [fd00:7::12]:80\n# wiki proxy http http://192.168.7.12:80/w {ownline:port} {ownline:upstream} \"/w\"\n}\n"
	if err != nil || got != want {
		t.Errorf("%v:\n%s", err, got)
	}
	grpc := service("server { # {{.Pass}} {{.Target}}\n{{.Guard}}\n}")
	grpc.Proxy.Scheme, grpc.Proxy.PathPrefix = ownline.SchemeH2C, ""
	if got, err := serverblock.Text(grpc); err != nil || !strings.HasPrefix(got, "server { # grpc http://192.168.7.12:80\n") {
		t.Errorf("%v: %s", err, got)
	}
	if got, err := serverblock.Text(service("")); err != nil || got != "" {
		t.Errorf("%v: %s", err, got)
	}
}

// Invariant 10: what is no good is refused by its line, and never keeps web busy for long.
func TestRefused(t *testing.T) {
	for template, want := range map[string]string{
		"server {\n{{.Guard}}\n{{end}}\n}":           "line 3: unexpected {{end}}",
		"{{.Guard}}\n{{.Gard}}":                      "line 2: <.Gard>: can't evaluate field Gard: there are Name, ",
		"{{.Guard}}\n{{nosuch 1}}":                   "line 2: function \"nosuch\" not defined",
		"{{.Guard}}\n{{index .Targets 7}}":           "line 2: ",
		"server { {{.Listen}} }":                     "one server block with {{.Guard}} in it",
		"server {\n# {{.Guard}}\n}":                  "on a line of its own",
		"{{.Guard}}\n{{range 1000000000000}}{{end}}": "takes more than 10000 steps",
		"{{.Guard}}\n" + strings.Repeat("{{range 9}}", 400) + strings.Repeat("{{end}}", 400):        "takes more than",
		"{{.Guard}}\n{{define \"a\"}}{{template \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}": "takes more than",
		"{{.Guard}}\n{{$a := \"aaaaaaaaaaaaaaaa\"}}{{range 40}}{{$a = print $a $a}}{{end}}":         "more than 4096 bytes",
		"{{.Guard}}\n{{printf \"%1000000d\" 1}}":                                                    "more than 4096 bytes",
		"{{.Guard}}\n{{range 9000}}0123456789{{end}}":                                               "makes more than",
		"{{.Guard}}\n{{range 2000}}0123456789{{end}}":                                               "must be text of 16384 bytes at most",
		"{{.Guard}}\n{{ownlineStep.x}}":                                                             "line 2: ",
		"{{.Guard}}\n{{printf \"%c\" 0}}":                                                           "must be text",
	} {
		_, err := serverblock.Text(service(template))
		if f, ok := errors.AsType[*ownline.FieldError](err); !ok || f.Field != "options.template" || !strings.Contains(f.Detail, want) {
			t.Errorf("%.60q: %v, want %q", template, err, want)
		}
	}
}
