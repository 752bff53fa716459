package transfer_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ownline/ownline/internal/web/transfer"
)

// The prototype's files become a document, and that goes into a house.
func TestPrototype(t *testing.T) {
	f, notes, err := transfer.ParsePrototype("users.csv", bytes.NewReader(read(t, "users.csv")), "services.csv", bytes.NewReader(read(t, "services.csv")), "home")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.WriteYAML(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "prototype.yaml", b.Bytes())
	golden(t, "prototype.notes", []byte(strings.Join(notes, "\n")+"\n"))
	d := house(t)
	for _, want := range []int{12, 0} {
		r, err := transfer.Import(t.Context(), d.Access, me, f, transfer.Options{})
		if err != nil || len(r.Changes) != want {
			t.Errorf("got %d changes, want %d: %+v, %v", len(r.Changes), want, r, err)
		}
	}
}

func TestPrototypeMistakes(t *testing.T) {
	const users = "public_id,username,password_hash,avatar\n"
	const services = "public_id,name,image,protocol,ip_dst_lan,port_dst_lan,path_dst_lan,type,connection_upgrade,custom_nginx_template,users,automatic,port_dst\n"
	line := func(name, protocol, ip, port, kind, automatic, dst string) string {
		return services + strings.Join([]string{"1", name, "", protocol, ip, port, "", kind, "", "", "", automatic, dst}, ",") + "\n"
	}
	for name, tc := range map[string]struct{ users, services, want string }{
		"empty":         {users: "", want: "users.csv: is empty; its first line must be public_id,"},
		"column":        {users: "public_id,username,password_hash,picture\n", want: `users.csv:1:1: "picture" is no column of this file`},
		"column gone":   {users: "username,password_hash,avatar\n", want: "users.csv:1:1: the column public_id is missing"},
		"short line":    {users: users + "1,ana\n", want: "users.csv:2:1: wrong number of fields"},
		"quotes":        {users: users + "1,\"ana,x,\n", want: "users.csv:"},
		"encoding":      {users: users + "1,M\xfcller,h,\n", want: "users.csv: is not UTF-8"},
		"no name":       {users: users + "1,!!,h,\n", want: `users.csv:2:3: username: "!!" has nothing that a name may have`},
		"same name":     {users: users + "1,Ana,h,\n2,ana,h,\n", want: `users.csv:3:3: username: "ana" would be called ana, as another user is`},
		"same id":       {users: users + "7,ana,h,\n7,bob,h,\n", want: `users.csv:3:1: public_id: "7" stands for the user ana already`},
		"id is a name":  {users: users + "7,ana,h,\nana,bob,h,\n", want: `users.csv:3:1: public_id: "ana" stands for the user ana already`},
		"name is an id": {users: users + "bob,ana,h,\n8,bob,h,\n", want: `users.csv:3:3: username: "bob" stands for the user ana already`},
		"type":          {services: line("x", "tcp", "192.168.7.1", "1", "teleport", "", ""), want: `services.csv:2:25: type: "teleport" is neither port forwarding nor reverse proxy`},
		"protocol":      {services: line("x", "sctp", "192.168.7.1", "1", "nat", "", ""), want: `protocol: "sctp" is not tcp, udp, http or https`},
		"address":       {services: line("x", "tcp", "nas.local", "1", "nat", "", ""), want: `ip_dst_lan: "nas.local" is not an address`},
		"port":          {services: line("x", "tcp", "192.168.7.1", "99999", "nat", "", ""), want: `port_dst_lan: "99999" is not a port`},
		"port is zero":  {services: line("x", "tcp", "192.168.7.1", "0", "nat", "", ""), want: `port_dst_lan: "0" is not a port`},
		"automatic":     {services: line("x", "tcp", "192.168.7.1", "1", "nat", "maybe", ""), want: `automatic: "maybe" is neither true nor false`},
		"public port":   {services: line("x", "tcp", "192.168.7.1", "1", "nat", "", "x"), want: `port_dst: "x" is not a port`},
		"proxy, udp":    {services: line("x", "udp", "192.168.7.1", "1", "web", "", ""), want: `protocol: a reverse proxy serves http and https, not udp`},
		"proxy, path":   {services: services + "1,x,,http,192.168.7.1,80,/a;b,web,,,,,\n", want: `path_dst_lan: "/a;b" is not a path like /app`},
		"every mistake": {users: users + "1,!,h,\n", services: line("x", "sctp", "nowhere", "1", "nat", "", ""), want: "protocol: \"sctp\" is not tcp, udp, http or https\nservices.csv:2:11: ip_dst_lan:"},
	} {
		t.Run(name, func(t *testing.T) {
			in := func(s string) *strings.Reader { return strings.NewReader(s) }
			var err error
			if tc.services == "" {
				_, _, err = transfer.ParsePrototype("users.csv", in(tc.users), "services.csv", nil, "")
			} else if tc.users == "" {
				_, _, err = transfer.ParsePrototype("users.csv", nil, "services.csv", in(tc.services), "")
			} else {
				_, _, err = transfer.ParsePrototype("users.csv", in(tc.users), "services.csv", in(tc.services), "")
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

// What access refuses of the files is told with their lines.
func TestPrototypeRefused(t *testing.T) {
	d := house(t)
	services := strings.ReplaceAll(string(read(t, "services.csv")), "192.168.7.30", "10.0.0.30")
	f, _, err := transfer.ParsePrototype("users.csv", bytes.NewReader(read(t, "users.csv")), "services.csv", strings.NewReader(services), "home")
	if err != nil {
		t.Fatal(err)
	}
	before := d.export(true, true)
	_, err = transfer.Import(t.Context(), d.Access, me, f, transfer.Options{})
	if err == nil || !strings.HasPrefix(err.Error(), "services.csv:3:") || !strings.Contains(err.Error(), ".target: 10.0.0.30 is in none") {
		t.Errorf("got %v", err)
	}
	if d.export(true, true) != before {
		t.Error("half of it was imported")
	}
}

func FuzzParsePrototype(f *testing.F) {
	f.Add(read(f, "users.csv"), read(f, "services.csv"))
	f.Fuzz(func(t *testing.T, users, services []byte) {
		file, _, err := transfer.ParsePrototype("users.csv", bytes.NewReader(users), "services.csv", bytes.NewReader(services), "home")
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := file.WriteYAML(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.Parse("FILE", b.Bytes()); err != nil {
			t.Fatalf("what was converted can't be read: %v\n%s", err, b.Bytes())
		}
	})
}
