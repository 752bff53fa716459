package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// The operations of a Change.
const (
	Added   = "added"
	Changed = "changed"
	Removed = "removed"
)

// Change is one difference between a database and a file.
type Change struct {
	Op     string  `json:"op"`   // one of the above
	Kind   string  `json:"kind"` // "site", "user", "service", "grant", "device", "link_key", "link", "second_factor", "passkey", "token" or "invitation"
	Name   string  `json:"name"` // as the file calls it
	Fields []Field `json:"fields,omitempty"`

	path  string // in the file; "" when it is not there
	apply func(ctx context.Context, a *access.Access, actor access.Actor) error
}

// Field is one value that differs. Of a secret it says only that.
type Field struct {
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
}

const hidden = "[secret]"

type fields []Field

// add notes a value when it differs.
func (f *fields) add(name string, from, to any) {
	if a, b := text(from), text(to); a != b {
		*f = append(*f, Field{name, a, b})
	}
}

func (f *fields) secret(name string) { *f = append(*f, Field{name, hidden, hidden}) }

func hiddenFields(name string) (f fields) {
	f.secret(name)
	return f
}

// text shows a value, and what is zero as nothing.
func text(v any) string {
	if v == nil {
		return ""
	}
	switch s := fmt.Sprint(v); s {
	case "false", "0", "0s", "invalid AddrPort":
		return ""
	default:
		return s
	}
}

// planner finds the differences. It changes nothing.
type planner struct {
	file  File
	have  access.Everything
	prune bool

	errs     []error
	notes    []string
	removals []Change // of all but users
	changes  []Change
	shorter  []Change // sites whose ipv6_prefix gets shorter, once the lists there fit it
	leavers  []Change // users to remove, once the others are there

	signedOut map[ownline.UserID]bool // by another password, which their tokens don't survive

	// What things are called once the file is imported.
	sites    map[string]ownline.SiteID
	users    map[string]ownline.UserID
	services map[string]ownline.ServiceID // SITE/NAME
}

// plan lists what would make have what the file says. Things that the file does not name
// stay, unless they are to be pruned: then those of the sections go that the file has.
func plan(have access.Everything, file File, prune bool) ([]Change, []string, error) {
	p := &planner{
		file: file, have: have, prune: prune,
		sites: map[string]ownline.SiteID{}, users: map[string]ownline.UserID{}, services: map[string]ownline.ServiceID{}, signedOut: map[ownline.UserID]bool{},
	}
	p.linkKey()
	p.planSites()
	p.planUsers()
	p.planServices()
	p.planGrants()
	p.planDevices()
	p.planKeys()
	p.checkHistory()
	return slices.Concat(p.removals, p.changes, p.shorter, p.leavers), p.notes, errors.Join(p.errs...)
}

func (p *planner) fail(key, detail string) { p.errs = append(p.errs, p.file.wrong(key, detail)) }

func (p *planner) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// wrong is an error about a key, with its place in the file.
func (f File) wrong(key, detail string) error {
	return ownline.Invalid("", fmt.Sprintf("%s: %s: %s", f.place(key), key, detail))
}

// missing reports a key that must be there.
func (p *planner) missing(path, key, value string) bool {
	if value == "" {
		p.fail(path+"."+key, "is missing")
	}
	return value == ""
}

// matcher finds for the items of a section what they are about in the database.
type matcher[T any] struct {
	p      *planner
	byID   map[ownline.ID[T]]*T
	byName map[string]*T
	met    map[*T]bool
	ids    map[ownline.ID[T]]bool
	names  map[string]bool
}

func newMatcher[T any](p *planner, have []T, id func(T) ownline.ID[T], name func(T) string) *matcher[T] {
	m := &matcher[T]{
		p: p, byID: map[ownline.ID[T]]*T{}, byName: map[string]*T{}, met: map[*T]bool{},
		ids: map[ownline.ID[T]]bool{}, names: map[string]bool{},
	}
	for i := range have {
		m.byID[id(have[i])], m.byName[name(have[i])] = &have[i], &have[i]
	}
	return m
}

// find returns what an item is about, nil when it is new. ok is false after a mistake.
func (m *matcher[T]) find(path string, id ownline.ID[T], name string) (t *T, ok bool) {
	if m.names[name] || !id.IsZero() && m.ids[id] {
		m.p.fail(path, fmt.Sprintf("%s is given twice", name))
		return nil, false
	}
	m.names[name], m.ids[id] = true, true
	t = m.byName[name]
	if !id.IsZero() {
		if m.byID[id] == nil && t != nil {
			m.p.fail(path+".id", fmt.Sprintf("what is called %s here is another one; leave id out to mean that", name))
			return nil, false
		}
		t = m.byID[id]
	}
	if t != nil {
		if m.met[t] {
			m.p.fail(path, fmt.Sprintf("%s is given twice, by id and by name", name))
			return nil, false
		}
		m.met[t] = true
	}
	return t, true
}

// rest lists what no item was about.
func (m *matcher[T]) rest(have []T) (out []*T) {
	for i := range have {
		if !m.met[&have[i]] {
			out = append(out, &have[i])
		}
	}
	return out
}

func (p *planner) linkKey() {
	key := p.file.LinkKey
	if key == "" || key == string(p.have.LinkKey) {
		return
	}
	if len(p.have.Sites) > 0 {
		p.fail("link_key", "the sites here obey another key; leave link_key out")
		return
	}
	p.changes = append(p.changes, Change{
		Op: Changed, Kind: "link_key", Fields: []Field{{"link_key", hidden, hidden}}, path: "link_key",
		apply: func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RestoreLinkKey(ctx, actor, ownline.Secret(key))
		},
	})
	p.note("the link key was another: a server that runs on this database must be started again")
}

func (p *planner) planSites() {
	m := newMatcher(p, p.have.Sites, func(s ownline.Site) ownline.SiteID { return s.ID }, func(s ownline.Site) string { return s.Name })
	for i, w := range p.file.Sites {
		path := fmt.Sprintf("sites[%d]", i)
		if p.missing(path, "name", w.Name) || p.missing(path, "host", w.Host) {
			continue
		}
		is, ok := m.find(path, w.ID, w.Name)
		if !ok {
			continue
		}
		if is == nil {
			p.addSite(path, w)
			continue
		}
		p.sites[w.Name] = is.ID
		var f fields
		f.add("name", is.Name, w.Name)
		f.add("host", is.Host, w.Host)
		f.add("ipv6_prefix", is.IPv6Prefix, cmp.Or(w.IPv6Prefix, is.IPv6Prefix))
		origins := p.origins(path, w.AllowedFrom)
		f.add("allowed_from", string(is.AllowedFrom), string(origins))
		if w.Pin != "" && w.Pin != is.Pin {
			p.fail(path+".pin", "is of another core; pair the site with that: `ownline-web site pair NAME CODE`")
			continue
		}
		from := origins.Words()
		change := access.SiteChange{Name: &w.Name, Host: &w.Host, AllowedFrom: &from}
		if w.IPv6Prefix != 0 {
			change.IPv6Prefix = &w.IPv6Prefix
		}
		id := is.ID
		apply := func(ctx context.Context, a *access.Access, actor access.Actor) error {
			_, err := a.ChangeSite(ctx, actor, id, change)
			return err
		}
		if w.IPv6Prefix != 0 && w.IPv6Prefix < is.IPv6Prefix {
			p.shorter = append(p.shorter, Change{Op: Changed, Kind: "site", Name: w.Name, Fields: f, path: path, apply: apply})
			continue
		}
		p.changed("site", w.Name, path, f, apply)
	}
	for _, s := range m.rest(p.have.Sites) {
		if !p.prune || p.file.Sites == nil {
			p.sites[s.Name] = s.ID
			continue
		}
		id := s.ID
		p.removed("site", s.Name, func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RemoveSite(ctx, actor, id)
		})
	}
}

func (p *planner) addSite(path string, w Site) {
	if w.Pin == "" {
		p.fail(path, fmt.Sprintf("there is no site %s, and only pairing makes one: `ownline-web site add CODE --name %s`", w.Name, w.Name))
		return
	}
	s := ownline.Site{
		ID: cmp.Or(w.ID, ownline.NewID[ownline.Site]()), Name: w.Name, Host: w.Host, Link: w.Link, Pin: w.Pin, KnockPort: w.KnockPort,
		LocalNetworks: w.LocalNetworks, ReservedPorts: w.ReservedPorts,
		Proxy: ownline.SiteProxy{Driver: w.ProxyDriver, Domain: w.ProxyDomain, Port: w.ProxyPort}, IPv6Prefix: w.IPv6Prefix, AllowedFrom: p.origins(path, w.AllowedFrom), Created: w.Created,
	}
	p.sites[w.Name] = s.ID
	if p.file.LinkKey == "" {
		p.note("site %s: its core obeys the database that it was paired with; export that with --secrets, or pair again", w.Name)
	}
	var f fields
	f.add("host", "", s.Host)
	f.add("link", "", s.Link)
	f.add("ipv6_prefix", 0, s.IPv6Prefix)
	f.add("allowed_from", "", string(s.AllowedFrom))
	p.added("site", w.Name, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
		return a.RestoreSite(ctx, actor, s)
	})
}

type applier = func(ctx context.Context, a *access.Access, actor access.Actor) error

func (p *planner) added(kind, name, path string, f fields, apply applier) {
	p.changes = append(p.changes, Change{Op: Added, Kind: kind, Name: name, Fields: f, path: path, apply: apply})
}

func (p *planner) changed(kind, name, path string, f fields, apply applier) {
	if len(f) > 0 {
		p.changes = append(p.changes, Change{Op: Changed, Kind: kind, Name: name, Fields: f, path: path, apply: apply})
	}
}

// removed puts grants and devices before services, and those before sites.
func (p *planner) removed(kind, name string, apply applier) {
	c := Change{Op: Removed, Kind: kind, Name: name, apply: apply}
	if kind == "user" {
		p.leavers = append(p.leavers, c)
		return
	}
	p.removals = append(p.removals, c)
	order := []string{"grant", "device", "service", "site"}
	slices.SortStableFunc(p.removals, func(a, b Change) int {
		return cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind))
	})
}

// known lists names, for an error.
func known[T any](m map[string]T) string {
	if len(m) == 0 {
		return "there is none"
	}
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	return "known are: " + strings.Join(names, ", ")
}
