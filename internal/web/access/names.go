package access

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ownline/ownline/internal/ownline"
)

var (
	nameForm = regexp.MustCompile(`^[a-z0-9._-]{1,64}$`)
	hostForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$`)
)

func checkName(s string) error {
	if !nameForm.MatchString(s) {
		return ownline.Invalid("name", "must be 1 to 64 of a-z 0-9 . _ -")
	}
	return nil
}

// checkUserName is stricter than what older databases hold.
func checkUserName(s string) error {
	if err := checkName(s); err != nil {
		return err
	}
	if strings.IndexByte("._-", s[0]) >= 0 {
		return ownline.Invalid("name", "must begin with a letter or digit")
	}
	return nil
}

func checkHost(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if len(s) > 253 || !hostForm.MatchString(s) {
		return ownline.Invalid("host", "must be the public name or address of the router, without a port")
	}
	return nil
}

// checkLabel takes what people are shown: any printable text.
func checkLabel(field, s string, least int) error {
	n := utf8.RuneCountInString(s)
	ok := utf8.ValidString(s) && n >= least && n <= 64
	for _, r := range s {
		ok = ok && unicode.IsPrint(r)
	}
	if !ok {
		return ownline.Invalid(field, fmt.Sprintf("must be %d to 64 printable characters", least))
	}
	return nil
}

func checkRole(r ownline.Role) error {
	if r != ownline.Admin && r != ownline.Person {
		return ownline.Invalid("role", fmt.Sprintf("must be %q or %q", ownline.Admin, ownline.Person))
	}
	return nil
}

func checkPrefix(bits int) error {
	if bits < 48 || bits > 128 {
		return ownline.Invalid("ipv6_prefix", "must be 48 to 128")
	}
	return nil
}
