package caddy

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/ownline/ownline/internal/ownline"
)

// mine begins every @id of ours. Nothing else in Caddy's configuration is ever changed.
const mine = "ownline-"

// name of our server among Caddy's.
const name = "ownline"

// wanted is what Caddy's configuration has to have of ours.
type wanted struct {
	server       *server // nil: none
	certificates []certificate
	versions     map[ownline.ServiceID]string // that the gate is to admit to
}

// object is a part of Caddy's configuration, of which we know but few keys.
type object map[string]json.RawMessage

// merge returns a configuration that has what is wanted of ours and nothing else of ours, and
// whether that is another one than now.
func merge(now []byte, want wanted) (next []byte, changed bool, err error) {
	var root object
	if err := json.Unmarshal(now, &root); err != nil {
		return nil, false, fmt.Errorf("the configuration of Caddy: %w", err)
	}
	if root == nil { // "null", of a Caddy that has none
		root = object{}
	}
	a, err := root.edit([]string{"apps", "http", "servers"}, func(servers object) (bool, error) { return mergeServers(servers, want.server) })
	if err != nil {
		return nil, false, err
	}
	b, err := root.edit([]string{"apps", "tls", "certificates"}, func(loaders object) (bool, error) { return mergeCertificates(loaders, want.certificates) })
	if err != nil || !a && !b {
		return nil, false, err
	}
	next, err = json.Marshal(root)
	return next, true, err
}

// edit changes the object at a path, which is made if it is not there. One that has become
// empty is removed, with those around it that have.
func (o object) edit(path []string, change func(object) (changed bool, err error)) (bool, error) {
	if len(path) == 0 {
		return change(o)
	}
	var child object
	if raw := o[path[0]]; raw != nil {
		if err := json.Unmarshal(raw, &child); err != nil {
			return false, fmt.Errorf("the configuration of Caddy, %q: %w", path[0], err)
		}
	}
	if child == nil {
		child = object{}
	}
	changed, err := child.edit(path[1:], change)
	if err != nil || !changed {
		return false, err
	}
	if len(child) == 0 {
		delete(o, path[0])
		return true, nil
	}
	o[path[0]], err = json.Marshal(child)
	return true, err
}

func mergeServers(servers object, want *server) (changed bool, err error) {
	for key, raw := range servers {
		switch {
		case key == name && !isMine(raw):
			if want != nil {
				return false, ownline.Conflict("proxy.caddy", `a server called "`+name+`" is in Caddy's configuration and not of ours; rename it`)
			}
		case isMine(raw) && (key != name || want == nil):
			delete(servers, key)
			changed = true
		}
	}
	if want == nil {
		return changed, nil
	}
	raw, err := json.Marshal(want)
	if err != nil || same(servers[name], raw) {
		return changed, err
	}
	servers[name] = raw
	return true, nil
}

func mergeCertificates(loaders object, want []certificate) (changed bool, err error) {
	const loader = "load_pem"
	var all []json.RawMessage
	if raw := loaders[loader]; raw != nil {
		if err := json.Unmarshal(raw, &all); err != nil {
			return false, fmt.Errorf("the configuration of Caddy, %q: %w", loader, err)
		}
	}
	var next, old, ours []json.RawMessage
	for _, raw := range all {
		if isMine(raw) {
			old = append(old, raw)
		} else {
			next = append(next, raw)
		}
	}
	for _, c := range want {
		raw, err := json.Marshal(c)
		if err != nil {
			return false, err
		}
		ours = append(ours, raw)
	}
	equal := len(old) == len(ours)
	for i := 0; equal && i < len(old); i++ {
		equal = same(old[i], ours[i])
	}
	if equal {
		return false, nil
	}
	if next = append(next, ours...); len(next) == 0 {
		delete(loaders, loader)
		return true, nil
	}
	loaders[loader], err = json.Marshal(next)
	return true, err
}

func isMine(raw json.RawMessage) bool {
	var o struct {
		ID string `json:"@id"`
	}
	return json.Unmarshal(raw, &o) == nil && strings.HasPrefix(o.ID, mine)
}

// same reports whether two texts say the same, in whatever order.
func same(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}
