package iptables

import (
	"context"
	"errors"
)

// Remove takes away what an earlier Driver left, of both variants but the one named, and tells
// whether anything was there. Connections live on: who takes over has to know them by their mark.
func Remove(ctx context.Context, cfg Config, but string) (found bool, err error) {
	run := programs{cfg.Within}
	for _, variant := range []string{nftVariant, legacyVariant} {
		if variant == but {
			continue
		}
		for _, s := range installed(variant, but == "") {
			is, e := left(ctx, run, s)
			if e != nil || is.empty() {
				continue // a variant that the kernel does not have holds nothing
			}
			found = true
			var b batch
			b.all("", nil, nil, nil, nil, is)
			_, e = run.run(ctx, b.String(), s.restore, "--noflush", "--wait")
			err = errors.Join(err, e)
		}
	}
	return found, err
}

// Left reports whether chains of an earlier Driver are there, of any variant but the one named.
func Left(ctx context.Context, cfg Config, but string) bool {
	for _, variant := range []string{nftVariant, legacyVariant} {
		if variant == but {
			continue
		}
		for _, s := range installed(variant, but == "") {
			if is, err := left(ctx, programs{cfg.Within}, s); err == nil && !is.empty() {
				return true
			}
		}
	}
	return false
}

func left(ctx context.Context, run programs, s side) (kernel, error) {
	saved, err := run.run(ctx, "", s.save, "--counters")
	return parse(saved, s.v4), err
}

// installed are the programs of a variant that are there. A host that has one variant may not name
// it; then these are its programs, should they be asked for.
func installed(variant string, unnamed bool) (all []side) {
	for _, family := range []string{"iptables-", "ip6tables-"} {
		s := side{v4: family == "iptables-", save: find(family + variant + "-save"), restore: find(family + variant + "-restore")}
		if unnamed && (s.save == "" || s.restore == "") {
			s.save, s.restore = find(family+"save"), find(family+"restore")
		}
		if s.save != "" && s.restore != "" {
			all = append(all, s)
		}
	}
	return all
}
