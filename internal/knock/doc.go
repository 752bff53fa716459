// Package knock is the packet: sealed and opened, bytes in and a value out. It is the
// format of spec/knock-v1.md, and Memory, the rule that a knock counts once.
//
// It opens no socket, reads no clock and writes no log.
package knock
