package iptables

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/core/firewall"
	"github.com/ownline/ownline/internal/ownline"
)

// UFWActive reports whether ufw's rules are in force.
func UFWActive(ctx context.Context, cfg Config) bool {
	save := find("iptables-save")
	if save == "" || find("ufw") == "" {
		return false
	}
	saved, err := programs{cfg.Within}.run(ctx, "", save, "--table", filter)
	return err == nil && parse(saved).ufw
}

// mayBeBeside refuses a ufw that takes away the rules of all others whenever it is told something.
func mayBeBeside(root string) error {
	b, err := os.ReadFile(filepath.Join(root, "etc/default/ufw"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "MANAGE_BUILTINS="); ok && strings.Trim(v, `"'`) == "yes" {
			return ownline.Invalid("firewall.driver", "ufw empties the chains of everybody here; set MANAGE_BUILTINS=no in /etc/default/ufw, or choose nftables")
		}
	}
	return err
}

// hooks are those for settings, and those beside ufw.
func (d *Driver) hooks(s firewall.Settings, is kernel) []hook {
	all := hooks(s)
	if d.ufw {
		all = append(all, is.letsIn()...)
	}
	return all
}

// chains are those for settings, and those beside ufw.
func (d *Driver) chains(s firewall.Settings, f side, now time.Time) []chain {
	all := d.ending.chains(s, f, now)
	if d.ufw {
		all = append(all, lets(s, f)...)
	}
	return all
}
