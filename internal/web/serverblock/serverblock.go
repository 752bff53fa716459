// Package serverblock: access → link: the server block of an nginx that an admin writes for a
// service as a Go template. It is executed here, so that the router needs no template engine;
// where the router's own words belong, the text has the marks of package link.
package serverblock

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// block is what a template is executed with. The fields that the router fills in are marks.
type block struct {
	Name    string   // of the service
	ID      string   // likewise
	Target  string   // its URL in the LAN, with the prefix
	Targets []string // ADDRESS:PORT of each family
	Scheme  string   // http, https or h2c
	Prefix  string   // of every path
	Pass    string   // "proxy" or "grpc": what proxy_… directives are called

	Host, Port, Listen, Guard, Forward, Upstream, Trust string
}

var fields = "Name, ID, Target, Targets, Scheme, Prefix, Pass, Host, Port, Listen, Guard, Forward, Upstream, Trust"

// Limits of what a template may make a busy web do.
const (
	maxSteps  = 10_000 // rounds of loops, and uses of other templates
	maxPiece  = 4 << 10
	maxResult = 64 << 10 // bytes; what is sent has ownline's own limit
)

// Text executes the template of a service; without one it is empty. Errors are about
// options.template.
func Text(s ownline.Service) (string, error) {
	if s.Proxy.Template == "" {
		return "", nil
	}
	text, err := execute(s)
	if err != nil {
		return "", ownline.Invalid("options.template", readable(err))
	}
	sent := ownline.ProxyOptions{Template: text}
	if err := sent.Validate(); err != nil { // its limits are those of what is sent, too
		return text, err
	}
	return text, link.CheckTemplate(text)
}

// Service is what core is told of a service.
func Service(s ownline.Service) (link.Service, error) {
	v := link.Service{ID: s.ID, Name: s.Name, Target4: s.Target4, Target6: s.Target6, Options: s.Proxy}
	var err error
	v.Options.Template, err = Text(s)
	return v, err
}

func execute(s ownline.Service) (string, error) {
	left := maxSteps
	step := func() (string, error) {
		if left--; left < 0 {
			return "", fmt.Errorf("takes more than %d steps", maxSteps)
		}
		return "", nil
	}
	t, err := template.New("").Option("missingkey=error").Funcs(bounded).Funcs(template.FuncMap{stepName: step}).Parse(s.Proxy.Template)
	if err != nil {
		return "", err
	}
	for _, t := range t.Templates() {
		count(t.Tree, t.Root)
	}
	b := block{
		Name: s.Name, ID: s.ID.String(), Scheme: s.Proxy.Scheme, Prefix: s.Proxy.PathPrefix, Pass: "proxy",
		Host: link.HostMark, Port: link.PortMark, Listen: link.ListenMark, Guard: link.GuardMark,
		Forward: link.ForwardMark, Upstream: link.UpstreamMark, Trust: link.TrustMark,
	}
	if b.Scheme == "" {
		b.Scheme = ownline.SchemeHTTP
	}
	scheme := b.Scheme
	if scheme == ownline.SchemeH2C {
		b.Pass, scheme = "grpc", "http"
	}
	for _, a := range []netip.AddrPort{s.Target4, s.Target6} {
		if a.IsValid() {
			b.Targets = append(b.Targets, a.String())
		}
	}
	if len(b.Targets) > 0 {
		b.Target = scheme + "://" + b.Targets[0] + b.Prefix
	}
	var out limited
	err = t.Execute(&out, b)
	return out.String(), err
}

const stepName = "ownlineStep"

// count puts a step into every loop and every template, so that none goes on for long.
func count(tree *parse.Tree, list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			count(tree, n.List)
			count(tree, n.ElseList)
		case *parse.WithNode:
			count(tree, n.List)
			count(tree, n.ElseList)
		case *parse.RangeNode:
			count(tree, n.List)
			count(tree, n.ElseList)
		}
	}
	name := parse.NewIdentifier(stepName).SetTree(tree).SetPos(list.Pos)
	command := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: list.Pos, Args: []parse.Node{name}}
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: list.Pos, Cmds: []*parse.CommandNode{command}}
	list.Nodes = append([]parse.Node{&parse.ActionNode{NodeType: parse.NodeAction, Pos: list.Pos, Pipe: pipe}}, list.Nodes...)
}

// bounded are the functions of text/template that make text, which could grow without end.
var bounded = template.FuncMap{
	"print":    func(v ...any) (string, error) { return piece(fmt.Sprint(v...)) },
	"println":  func(v ...any) (string, error) { return piece(fmt.Sprintln(v...)) },
	"printf":   func(f string, v ...any) (string, error) { return piece(fmt.Sprintf(f, v...)) },
	"html":     func(v ...any) (string, error) { return piece(template.HTMLEscaper(v...)) },
	"js":       func(v ...any) (string, error) { return piece(template.JSEscaper(v...)) },
	"urlquery": func(v ...any) (string, error) { return piece(template.URLQueryEscaper(v...)) },
}

func piece(s string) (string, error) {
	if len(s) > maxPiece {
		return "", fmt.Errorf("makes a text of more than %d bytes", maxPiece)
	}
	return s, nil
}

// limited takes as much as one service may have.
type limited struct{ strings.Builder }

func (l *limited) Write(b []byte) (int, error) {
	if l.Len()+len(b) > maxResult {
		return 0, fmt.Errorf("makes more than %d bytes", maxResult)
	}
	return l.Builder.Write(b)
}

var (
	place  = regexp.MustCompile(`^template: "?[^:]*"?:(\d+)(?::\d+)?: (?:executing "[^"]*" at )?`)
	inside = regexp.MustCompile(` in type serverblock\.block$`)
)

// readable says what text/template says by line, and what there would have been.
func readable(err error) string {
	text := place.ReplaceAllString(err.Error(), "line $1: ")
	if inside.MatchString(text) {
		text = inside.ReplaceAllString(text, "") + ": there are " + fields
	}
	return text
}
