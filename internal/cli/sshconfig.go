package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/ownline"
)

// sshHost is a stanza of ssh's configuration.
type sshHost struct {
	Host         string `json:"host"`
	Service      string `json:"service"`
	Site         string `json:"site"`
	Profile      string `json:"profile"`
	HostKeyAlias string `json:"host_key_alias"`
	User         string `json:"user,omitempty"`
	ProxyCommand string `json:"proxy_command"`
}

func (a *app) sshConfig() *cobra.Command {
	var profile, user string
	cmd := &cobra.Command{
		Use: "ssh-config [SERVICE…] [--profile NAME]", Short: "Write what makes plain ssh knock by itself",
		Long: `Write stanzas for ssh's configuration: ` + "`ssh nas`" + ` then knocks first, waits until the service
can be connected to, and connects, wherever you are. The same holds for scp, sftp, rsync and git.
Without SERVICE it is those of the profile's site that look like SSH: by their name, or because
they lead to port 22. ` + "`ownline services`" + ` has to have run once while you were signed in.

Keep the output in a file of its own, and include that at the very top of ~/.ssh/config:

  Include ~/.ssh/ownline.conf

Host keys are remembered by service, so that many can be behind one public name, and a port may
change. Fix the public port in the grant if the server can't be reached from outside.`,
		Example: `  ownline ssh-config >~/.ssh/ownline.conf
  ownline ssh-config nas-ssh --profile home --user ana
  ssh nas-ssh`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeService,
		RunE: func(cmd *cobra.Command, args []string) error {
			if user != "" && strings.ContainsFunc(user, func(r rune) bool { return r <= ' ' || r == '"' || r == '\'' || r == 0x7f }) {
				return command.Usagef("--user: %q is no name that ssh can read", user)
			}
			hosts, err := a.sshHosts(profile, user, args)
			if err != nil {
				return err
			}
			return a.print(cmd, hosts, func(w io.Writer) error {
				for i, h := range hosts {
					if i > 0 {
						fmt.Fprintln(w)
					}
					if err := writeSSHHost(w, h); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "", "which profile knocks (default: the only one, or the one called default)")
	cmd.Flags().StringVar(&user, "user", "", "whom to sign in as (default: what the rest of your configuration says)")
	mustComplete(cmd, "profile", a.completeProfileFlag)
	return cmd
}

func writeSSHHost(w io.Writer, h sshHost) error {
	fmt.Fprintf(w, "Host %s\n\t# %s of the site %s\n", h.Host, sshName(h.Service), sshName(h.Site))
	if h.User != "" {
		fmt.Fprintf(w, "\tUser %s\n", h.User)
	}
	_, err := fmt.Fprintf(w, "\tHostKeyAlias %s\n\tProxyCommand %s\n", h.HostKeyAlias, h.ProxyCommand)
	return err
}

func (a *app) sshHosts(profile, user string, names []string) ([]sshHost, error) {
	profile, p, err := a.profileStore().ChooseKept(profile)
	if err != nil {
		return nil, err
	}
	var services []known
	for _, name := range names {
		k, err := a.knownService(name, p.Site.String())
		if err != nil {
			return nil, err
		}
		services = append(services, k)
	}
	if len(names) == 0 {
		if services, err = a.looksLikeSSH(p.Site.String()); err != nil {
			return nil, err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	hosts := make([]sshHost, 0, len(services))
	for _, k := range services {
		if k.URL != "" || k.Transport == "udp" {
			return nil, ownline.Invalid("service", fmt.Sprintf("%s is no TCP forward: ssh can't be behind it", k.Name))
		}
		words := []string{program}
		if dir, own := a.ownDir(); own {
			words = append(words, "--config-dir", dir)
		}
		line, err := sshCommand(runtime.GOOS, append(words, "knock", k.ID, "--profile", profile, "--stdio"))
		if err != nil {
			return nil, err
		}
		h := sshHost{Host: sshName(k.Name), Service: k.Name, Site: cmp.Or(k.SiteName, p.Name), Profile: profile, HostKeyAlias: sshName(k.Name) + "." + profile, User: user, ProxyCommand: line}
		if slices.ContainsFunc(hosts, func(o sshHost) bool { return o.Host == h.Host }) {
			return nil, ownline.Invalid("service", fmt.Sprintf("%s is there twice", h.Host))
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// looksLikeSSH are the services of a site that have it in their name, or lead to its port.
func (a *app) looksLikeSSH(site string) ([]known, error) {
	var keep, out []known
	if err := readJSON(a.knownFile(), &keep); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if !slices.ContainsFunc(keep, func(k known) bool { return k.Site == site }) {
		return nil, errUnlearned
	}
	for _, k := range keep {
		at22 := slices.ContainsFunc([]string{k.Target, k.Target6}, func(t string) bool {
			a, err := netip.ParseAddrPort(t)
			return err == nil && a.Port() == 22
		})
		if k.Site == site && k.URL == "" && k.Transport != "udp" && (at22 || strings.Contains(k.Name, "ssh")) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil, &ownline.FieldError{Kind: ownline.ErrNotFound, Field: "service", Detail: "none that this machine has learned of this site looks like SSH; name it, or run `ownline services` again while signed in if it is new"}
	}
	return out, nil
}

// ownDir returns the folder of configuration when it is another than the usual one.
func (a *app) ownDir() (string, bool) {
	usual, err := usualDir()
	dir, absErr := filepath.Abs(a.dir)
	if absErr != nil {
		dir = a.dir
	}
	return dir, err != nil || dir != usual
}

// sshName makes a word that means itself in ssh's configuration.
func sshName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._", r) {
			return r
		}
		return '_'
	}, s)
}

// sshCommand writes words as the value of ProxyCommand: ssh replaces % in it, and has the rest
// run by the user's shell, or on Windows starts it as it is.
func sshCommand(system string, words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, word := range words {
		if strings.ContainsAny(word, "\x00\r\n") || system == "windows" && strings.Contains(word, `"`) {
			return "", fmt.Errorf("%q can't be written into ssh's configuration", word)
		}
		switch safe := strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+:@,=") == ""; {
		case system == "windows":
			if strings.ContainsAny(word, " \t&()^;,=") || word == "" {
				word = `"` + word + `"`
			}
		case !safe || word == "":
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		quoted[i] = strings.ReplaceAll(word, "%", "%%")
	}
	return strings.Join(quoted, " "), nil
}
