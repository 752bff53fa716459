//go:build unix

package pgtest

import (
	"os/exec"
	"syscall"
)

func (o *owner) run(cmd *exec.Cmd) {
	// Its own group: a ^C at a terminal is for the tests, whose end is the server's.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(o.uid), Gid: uint32(o.gid)}
	}
}
