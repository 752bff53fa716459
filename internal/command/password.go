package command

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxLine is how long a password or another secret on standard input may be, in bytes.
const maxLine = 16 << 10

// ErrNothing says that standard input was empty.
var ErrNothing = errors.New("password: none was given on standard input")

// Password asks for a password on the terminal, without showing it, twice when it is a new
// one. When in is no terminal, its first line is the password.
func Password(in io.Reader, talk io.Writer, prompt string, isNew bool) (string, error) {
	f, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		line, err := bufio.NewReader(io.LimitReader(in, maxLine+1)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		if len(line) > maxLine {
			return "", fmt.Errorf("what is on standard input is longer than %d bytes", maxLine)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return "", ErrNothing
		}
		return line, nil
	}
	first, err := ask(f, talk, prompt)
	if err != nil || !isNew {
		return first, err
	}
	second, err := ask(f, talk, "The same again")
	if err == nil && second != first {
		err = errors.New("password: the two differ; nothing was changed")
	}
	return first, err
}

func ask(f *os.File, talk io.Writer, prompt string) (string, error) {
	fmt.Fprint(talk, prompt+": ")
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(talk)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(b), nil
}

// IsTerminal reports whether a person is at the other end of a file.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
