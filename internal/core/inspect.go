//go:build !noproxy

package core

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/ownline/ownline/internal/config"
	"github.com/ownline/ownline/internal/core/proxy/gate"
	"github.com/ownline/ownline/internal/ownline"
)

// Inspect reports what this build, or the machine, lacks of what is set, without doing anything.
func Inspect(cfg config.Core, report func(key, detail string)) {
	p := cfg.Proxy
	if !p.Serves() {
		return
	}
	at := func(key string, err error) {
		var e *ownline.FieldError
		if errors.As(err, &e) {
			report(key, e.Detail)
		} else if err != nil {
			report(key, err.Error())
		}
	}
	program := func(key, name string) {
		if _, err := exec.LookPath(name); err != nil {
			report(key, fmt.Sprintf("%q can't be run: %v; name a program that is installed", name, errors.Unwrap(err)))
		}
	}
	file := func(key, path string) bool {
		f, err := os.Open(path)
		if err == nil {
			f.Close()
			return true
		}
		report(key, err.Error()+"; name a file that core can read")
		return false
	}
	at("proxy.http3", checkNames(cfg))
	c := p.Certificate
	if c.File != "" && file("proxy.certificate.file", c.File) && file("proxy.certificate.key_file", c.KeyFile) {
		_, err := tls.LoadX509KeyPair(c.File, c.KeyFile)
		at("proxy.certificate.file", err)
	}
	if c.ACME.CAFile != "" {
		file("proxy.certificate.acme.ca_file", c.ACME.CAFile)
	}
	if len(c.ACME.Hook) > 0 {
		program("proxy.certificate.acme.hook[0]", c.ACME.Hook[0])
	}
	if p.Driver == ownline.EmbeddedProxy {
		return
	}
	at("proxy.gate_socket", gate.CheckFolder(p.GateSocket))
	if _, err := groupID(p.GateGroup, ""); p.GateGroup != "" && err != nil {
		report("proxy.gate_group", fmt.Sprintf("there is no group %q here; make it, or leave this out", p.GateGroup))
	}
	if p.Driver != ownline.NginxProxy {
		return
	}
	program("proxy.nginx.program", p.Nginx.Program)
	if p.Nginx.Config != "" {
		file("proxy.nginx.config", p.Nginx.Config)
	}
	if len(p.Nginx.Reload) > 0 {
		program("proxy.nginx.reload[0]", p.Nginx.Reload[0])
	}
}
