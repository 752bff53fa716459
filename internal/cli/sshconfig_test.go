package cli

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// odd are words that a shell or ssh would take for something else.
var odd = []string{"plain", "", "two words", "a'b", `a"b`, "$(touch x)", "`id`", "a;b", "a&b|c", "*", "~", "#c", `back\slash`, "100%", "%h %%", "ä☃", "-x", "!!"}

// What ssh hands to the shell is read by it as the very words.
func TestSSHCommand(t *testing.T) {
	line, err := sshCommand("linux", append([]string{"printf", `%s\n`}, odd...))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(strings.ReplaceAll(line, "%%", ""), "%") != 0 {
		t.Errorf("ssh would replace something in %s", line)
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "exec "+strings.ReplaceAll(line, "%%", "%")).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(odd, "\n")+"\n", string(out)); diff != "" {
		t.Errorf("%s: %s", line, diff)
	}
	for _, bad := range []string{"a\nProxyCommand b", "a\r", "a\x00"} {
		if line, err := sshCommand("linux", []string{bad}); err == nil {
			t.Errorf("%q is written as %s", bad, line)
		}
	}
}

func TestSSHCommandOnWindows(t *testing.T) {
	line, err := sshCommand("windows", []string{`C:\Program Files\Ownline\ownline.exe`, "--config-dir", `C:\Users\ana\100%`, "knock", "x"})
	if want := `"C:\Program Files\Ownline\ownline.exe" --config-dir C:\Users\ana\100%% knock x`; err != nil || line != want {
		t.Errorf("%s, %v; want %s", line, err, want)
	}
	if line, err := sshCommand("windows", []string{`a"b`}); err == nil {
		t.Errorf("written as %s", line)
	}
}

// A name that somebody else chose stays one word of one line.
func TestWriteSSHHost(t *testing.T) {
	evil := "x y\n\tProxyCommand evil\u2028*?!,\""
	var w strings.Builder
	if err := writeSSHHost(&w, sshHost{Host: sshName(evil), Service: evil, Site: evil, HostKeyAlias: sshName(evil) + ".home", ProxyCommand: "ownline"}); err != nil {
		t.Fatal(err)
	}
	if strings.Count(w.String(), "\n") != 4 || strings.ContainsAny(w.String(), "*?!\"") || strings.Count(w.String(), "\tProxyCommand") != 1 {
		t.Errorf("written as\n%s", w.String())
	}
}
