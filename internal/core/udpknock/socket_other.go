//go:build !linux

package udpknock

import "net"

func prepare(c *net.UDPConn) error { return c.SetReadBuffer(receiveBuffer) }

func replyControl([]byte) []byte { return nil }
