package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/agent"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/knock"
	"github.com/ownline/ownline/internal/ownline"
)

// How long an answer is waited for.
const (
	knockTimeout  = 5 * time.Second
	brokerTimeout = 15 * time.Second // there, and what tells the address, too
	waitTimeout   = time.Minute
)

// tellSkew is how wrong a clock must be to be spoken of. Knocks are refused at a minute.
const tellSkew = 2 * time.Second

type knockFlags struct {
	profile      string
	wait, silent bool
	stdio        bool
	timeout, d   time.Duration
	only4, only6 bool
	source       string
}

// knocked is what became of a knock.
type knocked struct {
	Profile string `json:"profile"`
	Host    string `json:"host"`
	Service string `json:"service,omitempty"`
	Status  string `json:"status"` // of the best answer; "sent" or "no answer"
	// Where SERVICE can be connected to, as far as it is known.
	Address string        `json:"address,omitempty"` // HOST:PORT
	Port    uint16        `json:"port,omitempty"`
	URL     string        `json:"url,omitempty"` // of a proxied service
	Replies []familyReply `json:"replies"`
}

type familyReply struct {
	Way      string     `json:"way"` // "udp" or "mqtt"
	Server   string     `json:"server"`
	Family   int        `json:"family"`
	Sent     int        `json:"sent"`
	Status   string     `json:"status"`
	Sessions uint16     `json:"sessions"`
	Source   string     `json:"source,omitempty"` // our public address
	Expires  *time.Time `json:"expires,omitempty"`
	SkewMS   int64      `json:"skew_ms"`
	TookMS   float64    `json:"took_ms"`
	Error    string     `json:"error,omitempty"`
}

func (a *app) knock() *cobra.Command {
	var f knockFlags
	cmd := &cobra.Command{
		Use:   "knock [SERVICE] [-- COMMAND…]",
		Short: "Ask to be let in with one sealed packet",
		Long: `Send one sealed packet to the site of a profile, by IPv4 and IPv6, and wait for the sealed
answer. Without SERVICE everything is opened that is granted to the device's owner to open
by knock. A packet that gets lost is followed by another after a second, or a moment after the
other family was answered. When no answer comes, and the profile names an MQTT broker, the packet
goes through that, too.

With --wait it ends when SERVICE can really be connected to, or fails after a minute: a TCP
service is connected to until that succeeds. UDP services, and everything when no SERVICE is
named, are open when the answer is there. Where SERVICE is reached is printed: address and port,
and the URL of a proxied one.

With -- COMMAND the command is run once the door is open, and takes the place of this one: it
gets its signals, and its exit code counts. {host} and {port} in it become the site's name and the public
port of SERVICE, or the name and port of a proxied one, whose address is {url}. With --stdio standard input and output are connected to SERVICE: that is what ` + "`ownline ssh-config`" + `
writes for ssh.

The names of services are learned by ` + "`ownline services`" + `, once while you are signed in; before
that SERVICE has to be an ID. A public port that the grant does not fix is asked of the server, for which you have to be signed
in and the server reachable.`,
		Example: `  ownline knock
  ownline knock web --wait --profile home && curl http://home.example.org:20080/
  ownline knock nas-ssh --profile home --wait -- ssh -p {port} me@{host}
  ownline knock wiki --wait -- xdg-open {url}`,
		Args: func(cmd *cobra.Command, args []string) error {
			before := cmd.ArgsLenAtDash()
			if before < 0 {
				before = len(args)
			} else if before == len(args) {
				return command.Usagef("a command is missing behind --")
			}
			return command.Args("[SERVICE]")(cmd, args[:before])
		},
		ValidArgsFunction: a.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			var service string
			dash := cmd.ArgsLenAtDash()
			var run []string
			if dash >= 0 {
				args, run = args[:dash], args[dash:]
			}
			if len(args) > 0 {
				service = args[0]
			}
			return a.runKnock(cmd, f, service, run)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.profile, "profile", "", "which profile (default: the only one, or the one called default)")
	flags.BoolVar(&f.wait, "wait", false, "wait up to a minute, until the service can be connected to")
	flags.BoolVar(&f.stdio, "stdio", false, "wait likewise, and connect standard input and output to the service")
	flags.DurationVar(&f.timeout, "timeout", 0, fmt.Sprintf("how long to try (default %s, with a broker %s, with --wait %s)", knockTimeout, brokerTimeout, waitTimeout))
	flags.DurationVar(&f.d, "for", 0, "how long to be let in (default: what the server says)")
	flags.BoolVarP(&f.only4, "ipv4", "4", false, "by IPv4 alone")
	flags.BoolVarP(&f.only6, "ipv6", "6", false, "by IPv6 alone")
	flags.StringVar(&f.source, "source", "", "this machine's public address, for devices that must name it")
	flags.BoolVar(&f.silent, "no-answer", false, "send the packet and do not wait")
	mustComplete(cmd, "profile", a.completeProfileFlag)
	return cmd
}

func (a *app) runKnock(cmd *cobra.Command, f knockFlags, service string, run []string) error {
	r, name, err := a.knockRequest(f, service)
	if err != nil {
		return err
	}
	switch {
	case f.silent && (f.wait || f.stdio || len(run) > 0):
		return command.Usagef("--no-answer can't wait for anything")
	case f.stdio && len(run) > 0:
		return command.Usagef("--stdio and -- COMMAND exclude each other")
	case f.stdio && service == "":
		return command.Usagef("--stdio needs a SERVICE to connect to")
	}
	if err := checkWords(run, service); err != nil {
		return err
	}
	var k known
	var at place
	if service != "" {
		if k, err = a.knownService(service, r.Profile.Site.String()); err != nil {
			return err
		}
		if at, err = placeOf(k, r, f, run); err != nil {
			return err
		}
	} else {
		at.host = r.Profile.Host
	}
	if f.timeout == 0 {
		switch {
		case f.wait || f.stdio:
			f.timeout = waitTimeout
		case r.Profile.Broker.URL != "":
			f.timeout = brokerTimeout
		default:
			f.timeout = knockTimeout
		}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	replies, err := agent.Knock(ctx, r)
	if err != nil {
		return err
	}
	out := knocked{Profile: name, Host: r.Profile.Host, Service: service, Status: "no answer"}
	best := -1
	for i, reply := range replies {
		out.Replies = append(out.Replies, showReply(reply, f.silent))
		if reply.Err == nil && (best < 0 || reply.OK() && !replies[best].OK()) {
			best = i
			out.Status = out.Replies[i].Status
		}
	}
	in := best >= 0 && replies[best].OK()
	var conn net.Conn
	if in && service != "" {
		if at, conn, err = a.reach(ctx, r, f, k, at, run, replies); err == nil {
			out.Address, out.Port, out.URL = at.address(), at.port, at.url
		}
	}
	if !in || err != nil || len(run) == 0 && !f.stdio {
		talk := cmd.OutOrStdout()
		if f.stdio {
			talk = cmd.ErrOrStderr() // the other is the service's
		}
		if err := a.printTo(talk, out, func(w io.Writer) error { return printKnock(w, out, replies) }); err != nil {
			return err
		}
	}
	switch {
	case best < 0:
		return cmp.Or(cmd.Context().Err(), noAnswer(r, replies))
	case f.silent:
		return nil
	case !in:
		return refused(replies[best].Answer.Status, service)
	case err != nil:
		return cmp.Or(cmd.Context().Err(), err)
	case f.stdio:
		return pipe(cmd.Context(), conn, cmd.InOrStdin(), cmd.OutOrStdout())
	case len(run) > 0:
		return runCommand(cmd, at.fill(run))
	}
	return nil
}

func (a *app) knockRequest(f knockFlags, service string) (agent.Request, string, error) {
	name, p, err := a.profileStore().Choose(f.profile)
	if err != nil {
		return agent.Request{}, "", err
	}
	r := agent.Request{Profile: p, Duration: f.d, Only4: f.only4, Only6: f.only6, Silent: f.silent}
	switch {
	case f.only4 && f.only6:
		return r, name, command.Usagef("-4 and -6 exclude each other")
	case f.d < 0 || f.d > 0 && f.d < time.Second || f.timeout < 0:
		return r, name, command.Usagef("a duration must be at least a second")
	}
	if f.source != "" {
		if r.Claimed, err = netip.ParseAddr(f.source); err != nil {
			return r, name, command.Usagef("--source: %q is not an address", f.source)
		}
	}
	if service != "" {
		k, err := a.knownService(service, p.Site.String())
		if err != nil {
			return r, name, err
		}
		r.Service, err = ownline.ParseID[ownline.Service](k.ID)
		if err != nil {
			return r, name, err
		}
	}
	return r, name, nil
}

// errUnlearned says that enrolling alone tells no names.
var errUnlearned = &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "service", Detail: "this machine has not learned the names of the site's services yet: run `ownline login URL` and then `ownline services`, once, where the server can be reached; or give the service's ID"}

// knownService finds a service of that site by its name in what was kept, or by its ID.
func (a *app) knownService(what, site string) (known, error) {
	var keep, here []known
	if err := readJSON(a.knownFile(), &keep); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return known{}, err
	}
	for _, k := range keep {
		if k.Site == site {
			here = append(here, k)
		}
	}
	k, err := pick(here, what)
	if _, bad := ownline.ParseID[ownline.Service](what); bad == nil && err != nil {
		return known{ID: what, Name: what, Site: site}, nil
	}
	switch {
	case errors.Is(err, ownline.ErrNotFound) && len(here) == 0:
		err = errUnlearned
	case errors.Is(err, ownline.ErrNotFound):
		err = &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "service", Detail: fmt.Sprintf("%q is not among the services that this machine has learned; if it is new, run `ownline services` again while signed in, or give the service's ID", what)}
	}
	return k, err
}

func showReply(r agent.Reply, silent bool) familyReply {
	v := familyReply{Way: "udp", Server: r.Server.String(), Family: 4, Sent: r.Sent, Status: r.Answer.Status.String()}
	if r.Broker != "" {
		v.Way, v.Server = "mqtt", r.Broker
	}
	if r.Family == "6" {
		v.Family = 6
	}
	switch {
	case errors.Is(r.Err, agent.ErrNoAnswer):
		v.Status = "no answer"
		return v
	case r.Err != nil:
		v.Status, v.Error = "not sent", r.Err.Error()
		return v
	case silent:
		v.Status = "sent"
		return v
	}
	v.Sessions, v.SkewMS, v.TookMS = r.Answer.Sessions, r.Skew.Milliseconds(), float64(r.Took.Microseconds())/1000
	if r.Answer.Source.IsValid() {
		v.Source = r.Answer.Source.String()
	}
	if !r.Answer.Expires.IsZero() {
		v.Expires = &r.Answer.Expires
	}
	return v
}

func printKnock(w io.Writer, out knocked, replies []agent.Reply) error {
	answered := out.Status != "no answer"
	for i, v := range out.Replies {
		r := replies[i]
		line := fmt.Sprintf("IPv%d  %s", v.Family, v.Status)
		if r.Broker != "" {
			line = fmt.Sprintf("IPv%d through the broker  %s", v.Family, v.Status)
		}
		switch {
		case r.Err != nil:
			if answered || errors.Is(r.Err, agent.ErrNoFamily) && len(replies) > 1 {
				continue // the other family did, or can
			}
			if v.Error != "" {
				line += ": " + v.Error
			}
		case r.OK() && r.Answer.Status != knock.Inside:
			line += fmt.Sprintf(" for %s, sessions: %d", v.Source, v.Sessions)
			if v.Expires != nil {
				// Core's clock counts: show what is left by it.
				line += ", until " + command.When(v.Expires.Add(-r.Skew), time.Now())
			}
		case v.Source != "":
			line += ", seen at " + v.Source
		}
		fmt.Fprintln(w, line)
	}
	switch {
	case out.URL != "":
		fmt.Fprintf(w, "Open %s\n", out.URL)
	case out.Address != "":
		fmt.Fprintf(w, "Connect to %s\n", out.Address)
	}
	for _, r := range replies {
		if r.Err == nil && r.Skew.Abs() > tellSkew {
			direction := "behind"
			if r.Skew < 0 {
				direction = "ahead of"
			}
			_, err := fmt.Fprintf(w, "This machine's clock is %s %s the site's. Knocks are refused when it is a minute.\n", command.Short(r.Skew.Abs()), direction)
			return err
		}
	}
	return nil
}

// noAnswer says what it may be that a site which is silent to all that is wrong has against a knock.
func noAnswer(r agent.Request, replies []agent.Reply) error {
	p := r.Profile
	var failed []string
	through := "" // what became of it at the broker
	for _, reply := range replies {
		if !errors.Is(reply.Err, agent.ErrNoAnswer) && reply.Err != nil {
			failed = append(failed, reply.Err.Error())
		}
		if reply.Broker != "" && (through == "" || !errors.Is(reply.Err, agent.ErrNoFamily)) {
			through = fmt.Sprintf(" And through the broker %s: %v.", reply.Broker, reply.Err)
			if reply.Sent > 0 {
				through = fmt.Sprintf(" And the broker %s took the knock, but no answer came: is Ownline connected to it?", reply.Broker)
			}
		}
	}
	if len(failed) == len(replies) {
		return fmt.Errorf("nothing could be sent to %s: %s", p.Host, strings.Join(failed, "; "))
	}
	named := "Must the device name its public address, as one made with --require-claimed-source must (--source ADDRESS)?"
	if r.Claimed.IsValid() {
		named = fmt.Sprintf("Is %s (--source) the address that the site sees this machine at?", r.Claimed)
	}
	return fmt.Errorf("no answer from %s, UDP port %d. A site is silent to everything that it does not accept. "+
		"Is this machine's clock right to the minute (%s)? Is the device revoked, or its profile old? %s Does UDP get through from here?%s",
		p.Host, p.Port, time.Now().Format("15:04:05 MST"), named, through)
}

func refused(s knock.Status, service string) error {
	switch {
	case s == knock.NothingGranted && service != "":
		return fmt.Errorf("nothing is open: the device's owner may not open %s by knock from here", service)
	case s == knock.NothingGranted:
		return errors.New("nothing is open: no service is granted to the device's owner to be opened by knock from here")
	}
	return errors.New("nothing is open: the site refused; its server's log says why")
}
