package install

import (
	"errors"
	"strings"
)

// What a unit is confined by. In a user's own manager only what needs no namespace of its own is sure
// to work: many distributions don't let users make those.
const (
	confined = `UMask=0077
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
`
	confinedMore = `ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
CapabilityBoundingSet=
AmbientCapabilities=
`
)

// unit is the file that describes the agent to systemd.
func unit(o Options) (string, error) {
	command, err := words(append([]string{o.Program}, o.Arguments...))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(s ...string) { b.WriteString(strings.Join(s, "") + "\n") }
	line("# Written by `ownline agent install`; `ownline agent uninstall` removes it.")
	line("[Unit]")
	line("Description=Ownline agent: keeps what is yours open, wherever this machine is")
	line("Documentation=https://github.com/ownline/ownline")
	if o.System {
		line("Wants=network-online.target")
		line("After=network-online.target nss-lookup.target")
	}
	line()
	line("[Service]")
	line("Type=exec")
	line("ExecStart=", command)
	line("ExecReload=/bin/kill -HUP $MAINPID")
	line("Restart=on-failure")
	line("RestartSec=30")
	line("# Written wrongly: trying again changes nothing.")
	line("RestartPreventExitStatus=2")
	line("TimeoutStopSec=10")
	b.WriteString(confined)
	target := "default.target"
	if o.System {
		target = "multi-user.target"
		b.WriteString(confinedMore)
		dir, err := words([]string{o.Dir})
		if err != nil {
			return "", err
		}
		line("ReadWritePaths=", dir)
	}
	line()
	line("[Install]")
	line("WantedBy=", target)
	return b.String(), nil
}

// words writes words as systemd reads them.
func words(all []string) (string, error) {
	for i, w := range all {
		if strings.ContainsAny(w, "\n\r\x00") || strings.Contains(w, "{{") {
			return "", errors.New("a path or an argument has characters in it that no service can be described with")
		}
		w = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(w)
		if i > 0 {
			w = strings.ReplaceAll(w, "$", "$$") // not in the program's own path
		}
		if w == "" || strings.ContainsAny(w, " \t\\\"'") {
			w = `"` + w + `"`
		}
		all[i] = w
	}
	return strings.Join(all, " "), nil
}
