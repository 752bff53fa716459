package iptables

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
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
	return parse(saved), err
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

// Legacy returns the rules of the variant legacy that are in force here, of IPv4 and of IPv6, as its
// programs print them; "": there are none.
func Legacy(ctx context.Context, cfg Config) (saved [2]string, err error) {
	for i, family := range [...]string{"ip", "ip6"} {
		names, e := os.ReadFile("/proc/net/" + family + "_tables_names")
		if e != nil || len(names) == 0 { // a kernel without it has no such file
			continue
		}
		program := find(family + "tables-legacy-save")
		if program == "" {
			program = find(family + "tables-save")
		}
		if program != "" {
			saved[i], e = programs{cfg.Within}.run(ctx, "", program)
		}
		if e == nil && (saved[i] == "" || strings.Contains(saved[i], "(nf_tables)")) { // of the other variant
			saved[i], e = "", fmt.Errorf("%[1]stables-legacy has some, and %[1]stables-legacy-save is not installed", family)
		}
		err = errors.Join(err, e)
	}
	return saved, err
}
