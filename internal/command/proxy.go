package command

import (
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ownline/ownline/internal/ownline"
)

// ProxyFlags are the flags that say how the reverse proxy serves a service.
type ProxyFlags struct {
	scheme, path, ca, pin, serverName, template string
	headers                                     []string
	login                                       bool
}

// Names are those of the flags.
func (*ProxyFlags) Names() []string {
	return []string{"scheme", "path-prefix", "header", "ca", "pin", "server-name", "require-login", "template"}
}

// Add adds them to a command.
func (f *ProxyFlags) Add(flags *pflag.FlagSet) {
	flags.StringVar(&f.scheme, "scheme", "", "proxied: http, https or h2c (default: http)")
	flags.StringVar(&f.path, "path-prefix", "", "proxied: put in front of every path, like /app")
	flags.StringArrayVar(&f.headers, "header", nil, "proxied: 'NAME: VALUE', set on every request; may be repeated, and stands for all of them")
	flags.StringVar(&f.ca, "ca", "", "proxied, https: file of certificates in PEM that have signed the service's; - is the standard input")
	flags.StringVar(&f.pin, "pin", "", "proxied, https: SHA-256 of the service's public key, in place of checking its certificate")
	flags.StringVar(&f.serverName, "server-name", "", "proxied, https: name in the service's certificate")
	flags.BoolVar(&f.login, "require-login", false, "proxied: Ownline's own login stands in front, for sources that many people share; --require-login=false takes it away")
	flags.StringVar(&f.template, "template", "", "proxied by nginx: file with a Go template of the server block; - is the standard input, '' takes it away")
}

// Apply writes the flags that were given into the options, and reports whether there were any.
func (f *ProxyFlags) Apply(cmd *cobra.Command, o *ownline.ProxyOptions) (given bool, err error) {
	flags := cmd.Flags()
	for name, v := range map[string]struct{ from, to *string }{
		"scheme": {&f.scheme, &o.Scheme}, "path-prefix": {&f.path, &o.PathPrefix}, "pin": {&f.pin, &o.Pin}, "server-name": {&f.serverName, &o.ServerName},
	} {
		if flags.Changed(name) {
			*v.to, given = *v.from, true
		}
	}
	for name, v := range map[string]struct{ from, to *string }{"ca": {&f.ca, &o.CA}, "template": {&f.template, &o.Template}} {
		if !flags.Changed(name) {
			continue
		}
		given, *v.to = true, ""
		if *v.from != "" {
			if *v.to, err = TextOf(*v.from, cmd.InOrStdin()); err != nil {
				return false, err
			}
		}
	}
	if flags.Changed("require-login") {
		o.RequireLogin, given = f.login, true
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

// TextOf returns what is in a file, or all that in has when its name is "-".
func TextOf(file string, in io.Reader) (string, error) {
	if file != "-" {
		b, err := os.ReadFile(file)
		return string(b), err
	}
	b, err := io.ReadAll(in)
	return string(b), err
}
