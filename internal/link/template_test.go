package link

import (
	"strings"
	"testing"
)

const wholeBlock = `limit_req_zone $remote_addr zone=one:1m rate=9r/s; # }
map $http_x $mine { default "a}b"; '~^\'{' ${http_y}; }
server {
	server_name {ownline:host}; # server {
{ownline:listen}
{ownline:guard}
	location / {
{ownline:forward}{ownline:trust}
		rewrite ^/old/(.*)$ /new/$1 break;
		proxy_pass {ownline:upstream};
	}
	location ~ "^/a{2}" { if ($arg_x) { return 404; } return 301 http://{ownline:host}:{ownline:port}/; }
}
`

// Invariant 3: a template that is taken has its guard where nginx sees it, for all that it serves.
func TestCheckTemplate(t *testing.T) {
	if err := CheckTemplate(wholeBlock); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		"": "one server block", "{ownline:guard}": "one server block",
		"server {\nlisten 1;\n}\nserver {\n{ownline:guard}\n}":                  "one server block",
		"server {\n{ownline:guard}\n}\nserver {\n{ownline:guard}\n}":            "one server block",
		"server {\n{ownline:guard}\n}\n\"server\" {\nlisten 1;\n}":              "one server block",
		"server {\n{ownline:guard}\n{ownline:guard}\n}":                         "one server block",
		"server {\nlocation / {\n{ownline:guard}\n}\n}":                         "one server block",
		"map $a $b {\n{ownline:guard}\n}\nserver {\nlisten 1;\n}":               "one server block",
		"server x {\n{ownline:guard}\n}":                                        "one server block",
		"server {\n# {ownline:guard}\n}":                                        "on a line of its own",
		"server {\nset $a '\n{ownline:guard}\n';\n}":                            "on a line of its own",
		"server {\nset $a \"\\\"\n{ownline:guard}\n\";\n}":                      "on a line of its own",
		"server {\nset $a\n{ownline:guard}\n;\n}":                               "on a line of its own",
		"server {\n{ownline:guard}\nset $a \\{ownline:listen};\n}":              "on a line of its own",
		"server {\n{ownline:guard}\n# {ownline:forward}\n}":                     "on a line of its own",
		"server {\n{ownline:guard}\nlocation /x { auth_request off; }\n}":       "must not have auth_request",
		"server {\n{ownline:guard}\nlocation /x { 'auth_request' \"off\"; }\n}": "must not have auth_request",
		"server {\n{ownline:guard}\nlocation /x { satisfy any; allow all; }\n}": "must not have satisfy",
		"server {\n{ownline:guard}\nlocation /x { include /etc/mine; }\n}":      "must not have include",
		"server {\n{ownline:guard}\ncontent_by_lua_block { }\n}":                "must not have content_by_lua_block",
		"server {\n{ownline:guard}\nrewrite ^ /x break;\n}":                     "rewrite in a location only",
		"server {\n{ownline:guard}\nif ($arg_x) { rewrite ^ /x break; }\n}":     "rewrite in a location only",
		"server {\n{ownline:guard}\n}\n}":                                       "did not open",
		"server {\n{ownline:guard}\n":                                           "not closed",
		"server {\n{ownline:guard}\n} set":                                      "ends within a word",
		"server {\n{ownline:guard}\n} set ":                                     "ends within a directive",
		"server {\n{ownline:guard}\n;}":                                         "takes none",
		"server {\n{ownline:guard}\nset $a 'b'c;}":                              "right behind a quoted word",
	} {
		if err := CheckTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// FuzzCheckTemplate looks for a text that is taken whose guard counts for nothing.
func FuzzCheckTemplate(f *testing.F) {
	f.Add(wholeBlock)
	f.Add("server {\n{ownline:guard}\nset $a ${b}\\{'\"; }")
	f.Fuzz(func(t *testing.T, text string) {
		if CheckTemplate(text) != nil {
			return
		}
		if n := strings.Count(text, GuardMark); n != 1 {
			t.Errorf("%d guards", n)
		}
		for what, bad := range map[string]string{
			"no guard":        strings.Replace(text, GuardMark, "", 1),
			"quoted":          strings.Replace(text, GuardMark, "set $a '\n"+GuardMark+"\n';", 1),
			"a comment":       strings.Replace(text, GuardMark, "#"+GuardMark+"\n", 1),
			"a location":      strings.Replace(text, GuardMark, "location /ownline {\n"+GuardMark+"\n}", 1),
			"another block":   strings.Replace(text, GuardMark, "} server {\n"+GuardMark, 1),
			"off":             strings.Replace(text, GuardMark, GuardMark+"\nauth_request off;", 1),
			"off in location": strings.Replace(text, GuardMark, GuardMark+"\nlocation /ownline { auth_request off; }", 1),
			"one behind":      text + "\nserver { listen 1; }",
			"one in front":    "server { listen 1; }\n" + text,
		} {
			if CheckTemplate(bad) == nil {
				t.Errorf("%s is taken: %q", what, bad)
			}
		}
	})
}
