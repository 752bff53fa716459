// Package cli is the command line of ownline: output for people, and --json for programs,
// which is as stable as the API. A file holds a command, or those of one noun.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ownline/ownline/internal/agent/keyring"
	"github.com/ownline/ownline/internal/agent/profile"
	"github.com/ownline/ownline/internal/apiclient"
	"github.com/ownline/ownline/internal/command"
	"github.com/ownline/ownline/internal/version"
)

// app is what every command shares.
type app struct {
	dir     string // of what is kept for the user
	json    bool
	keyring profile.Keyring // the system's
}

// New makes the command line. Commands of other rooms join it.
func New(others ...*cobra.Command) *cobra.Command {
	a := &app{keyring: keyring.New()}
	root := &cobra.Command{
		Use:   "ownline",
		Short: "Open private services for the address you are at, for a while",
		Long: `Ownline opens services of a private network to the one address that you are at, for a
limited time. There are two ways to ask:

  knock   a device with a profile sends one sealed packet; works when nothing else does
  open    you are signed in to the server, and ask it

The exit code is 0 when it is done, 1 when it failed, and 2 when the command was written
wrongly. With --json results are what the server's API answers.`,
		Example: `  ownline enroll -
  ownline knock
  ownline knock ssh -- ssh -p {port} me@{host}

  ownline login https://ownline.example.org:9999
  ownline open ssh --for 1h`,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.findDir() },
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON")
	root.PersistentFlags().StringVar(&a.dir, "config-dir", "", "where profiles and the login are kept (default: ownline in your configuration folder, or $OWNLINE_CONFIG_DIR)")
	root.AddCommand(
		a.knock(), a.enroll(), a.profiles(), a.agent(), a.sshConfig(),
		a.login(), a.logout(), a.whoami(), a.services(), a.open(), a.sessions(), a.extend(), a.close(), a.flush(),
		a.invite(), a.invitations(), a.devices(), a.tokens(), a.logins(), a.password(), a.totp(), a.passkeys(), a.provider(), a.admin(),
		a.version(),
	)
	root.AddCommand(others...)
	return root
}

func (a *app) findDir() error {
	if a.dir == "" {
		a.dir = os.Getenv("OWNLINE_CONFIG_DIR")
	}
	if a.dir != "" {
		return nil
	}
	dir, err := usualDir()
	a.dir = dir
	return err
}

func usualDir() (string, error) {
	dir, err := os.UserConfigDir()
	return filepath.Join(dir, "ownline"), err
}

// print writes v as JSON, or lets human write it for people.
func (a *app) print(cmd *cobra.Command, v any, human func(w io.Writer) error) error {
	return a.printTo(cmd.OutOrStdout(), v, human)
}

func (a *app) printTo(w io.Writer, v any, human func(w io.Writer) error) error {
	if a.json {
		return command.PrintJSON(w, v)
	}
	return human(w)
}

func (a *app) profileStore() profile.Store {
	return profile.Store{Dir: filepath.Join(a.dir, "profiles"), Keyring: a.keyring}
}

// account is the login that is kept: login.json.
type account struct {
	URL     string     `json:"url"`
	Name    string     `json:"name"`
	Token   string     `json:"token"`
	Expires *time.Time `json:"expires,omitempty"`

	Authorities []byte `json:"authorities,omitempty"` // PEM: trusted beside the system's, for this server
}

// connect makes a client for the server.
func (acc account) connect() (*apiclient.Client, error) {
	c := &apiclient.Client{URL: acc.URL, Token: acc.Token}
	if len(acc.Authorities) == 0 {
		return c, nil
	}
	var err error
	c.Transport, err = apiclient.Trusting(acc.Authorities)
	return c, err
}

func (a *app) accountFile() string { return filepath.Join(a.dir, "login.json") }

var errNoLogin = errors.New("not signed in; run `ownline login URL` first")

// client is ready to speak to the server that the user is signed in to.
func (a *app) client() (*apiclient.Client, error) {
	var acc account
	switch err := readJSON(a.accountFile(), &acc); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoLogin
	case err != nil:
		return nil, err
	}
	return acc.connect()
}

// maxKept is more than anything that we keep about a server has, in bytes.
const maxKept = 16 << 20

func readJSON(file string, v any) error {
	content, err := profile.ReadFile(file, maxKept)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, v); err != nil {
		return fmt.Errorf("%s is damaged: %w", file, err)
	}
	return nil
}

func writeJSON(file string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return profile.WriteFile(file, append(content, '\n'))
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: command.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.print(cmd, map[string]string{"version": version.String()}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "ownline", version.String())
				return err
			})
		},
	}
}
