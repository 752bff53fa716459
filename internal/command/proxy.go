package command

import (
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ownline/ownline/internal/ownline"
)

// ProxyFlags are the flags that say how the reverse proxy serves a service.
type ProxyFlags struct {
	scheme, path, ca, pin, serverName string
	headers                           []string
}

// Names are those of the flags.
func (*ProxyFlags) Names() []string {
	return []string{"scheme", "path-prefix", "header", "ca", "pin", "server-name"}
}

// Add adds them to a command.
func (f *ProxyFlags) Add(flags *pflag.FlagSet) {
	flags.StringVar(&f.scheme, "scheme", "", "proxied: http, https or h2c (default: http)")
	flags.StringVar(&f.path, "path-prefix", "", "proxied: put in front of every path, like /app")
	flags.StringArrayVar(&f.headers, "header", nil, "proxied: 'NAME: VALUE', set on every request; may be repeated, and stands for all of them")
	flags.StringVar(&f.ca, "ca", "", "proxied, https: file of certificates in PEM that have signed the service's")
	flags.StringVar(&f.pin, "pin", "", "proxied, https: SHA-256 of the service's public key, in place of checking its certificate")
	flags.StringVar(&f.serverName, "server-name", "", "proxied, https: name in the service's certificate")
}

// Apply writes the flags that were given into the options, and reports whether there were any.
func (f *ProxyFlags) Apply(flags *pflag.FlagSet, o *ownline.ProxyOptions) (given bool, err error) {
	for name, v := range map[string]struct{ from, to *string }{
		"scheme": {&f.scheme, &o.Scheme}, "path-prefix": {&f.path, &o.PathPrefix}, "pin": {&f.pin, &o.Pin}, "server-name": {&f.serverName, &o.ServerName},
	} {
		if flags.Changed(name) {
			*v.to, given = *v.from, true
		}
	}
	if flags.Changed("ca") {
		given, o.CA = true, ""
		if f.ca != "" {
			b, err := os.ReadFile(f.ca)
			if err != nil {
				return false, err
			}
			o.CA = string(b)
		}
	}
	if !flags.Changed("header") {
		return given, nil
	}
	o.Headers = nil
	for _, h := range f.headers {
		if h == "" {
			continue // none any more
		}
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return false, Usagef("--header: %q is not like 'NAME: VALUE'", h)
		}
		if o.Headers == nil {
			o.Headers = make(map[string]string)
		}
		o.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return true, nil
}
