package store

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// column reads one column into a value of ours.
type column func(src any) error

// Scan implements sql.Scanner.
func (c column) Scan(src any) error { return c(src) }

func text(src any) (string, error) {
	switch v := src.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case nil:
		return "", nil
	}
	return "", fmt.Errorf("a %T where text belongs", src)
}

func integer(src any) (int64, error) {
	if v, ok := src.(int64); ok {
		return v, nil
	}
	return 0, fmt.Errorf("a %T where a number belongs", src)
}

func id[T any](dst *ownline.ID[T]) sql.Scanner {
	return column(func(src any) error {
		s, err := text(src)
		if err != nil || s == "" {
			*dst = ownline.ID[T]{}
			return err
		}
		*dst, err = ownline.ParseID[T](s)
		return err
	})
}

func when(dst *time.Time) sql.Scanner {
	return column(func(src any) error {
		n, err := integer(src)
		*dst = time.Time{}
		if n != 0 {
			*dst = time.UnixMilli(n).UTC()
		}
		return err
	})
}

func span(dst *time.Duration) sql.Scanner {
	return column(func(src any) error {
		n, err := integer(src)
		*dst = time.Duration(n) * time.Millisecond
		return err
	})
}

func flag(dst *bool) sql.Scanner {
	return column(func(src any) error {
		n, err := integer(src)
		*dst = n != 0
		return err
	})
}

func addrPort(dst *netip.AddrPort) sql.Scanner {
	return column(func(src any) error {
		s, err := text(src)
		if err != nil || s == "" {
			*dst = netip.AddrPort{}
			return err
		}
		*dst, err = netip.ParseAddrPort(s)
		return err
	})
}

func prefix(dst *netip.Prefix) sql.Scanner {
	return column(func(src any) error {
		s, err := text(src)
		if err != nil || s == "" {
			*dst = netip.Prefix{}
			return err
		}
		*dst, err = netip.ParsePrefix(s)
		return err
	})
}

// proxyOptions reads JSON; empty text is the zero value.
func proxyOptions(dst *ownline.ProxyOptions) sql.Scanner {
	return column(func(src any) error {
		s, err := text(src)
		*dst = ownline.ProxyOptions{}
		if err != nil || s == "" {
			return err
		}
		return json.Unmarshal([]byte(s), dst)
	})
}

// list reads blank-separated values.
func list[T any](dst *[]T, parse func(string) (T, error)) sql.Scanner {
	return column(func(src any) error {
		s, err := text(src)
		if err != nil {
			return err
		}
		*dst = nil
		for f := range strings.FieldsSeq(s) {
			v, err := parse(f)
			if err != nil {
				return err
			}
			*dst = append(*dst, v)
		}
		return nil
	})
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

func joined[T any](vs []T) string {
	var b strings.Builder
	for i, v := range vs {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}

// The other direction: values as arguments.

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// maybe is an identifier or NULL.
func maybe[T any](v ownline.ID[T]) any {
	if v.IsZero() {
		return nil
	}
	return v.String()
}

// idText is an identifier or empty text.
func idText[T any](v ownline.ID[T]) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}

func addrPortText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// proxyOptionsText is what proxyOptions reads.
func proxyOptionsText(o ownline.ProxyOptions) (string, error) {
	b, err := json.Marshal(o)
	if err != nil || string(b) == "{}" {
		return "", err
	}
	return string(b), nil
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// page checks a Page and returns its limit and the key that its cursor stands for.
func page(p ownline.Page) (limit int, after string, err error) {
	limit = p.Limit
	if limit == 0 {
		limit = ownline.DefaultLimit
	}
	if limit < 1 || limit > ownline.MaxLimit {
		return 0, "", ownline.Invalid("limit", fmt.Sprintf("must be 1 to %d", ownline.MaxLimit))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(p.Cursor)
	if err != nil {
		return 0, "", ownline.Invalid("cursor", "is not one that a list returned")
	}
	return limit, string(b), nil
}

// turn cuts a list that was read with one row more than the limit, and returns the cursor
// of the next page.
func turn[T any](rows []T, limit int, key func(T) string) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, base64.RawURLEncoding.EncodeToString([]byte(key(rows[limit-1])))
}
