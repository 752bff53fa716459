//go:build !linux

package embedded

import "net"

func listening() *net.ListenConfig { return new(net.ListenConfig) }
