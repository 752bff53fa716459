package broker

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// A broker that refuses a subscription is asked again: an admin may have mended its rights. Until
// then it counts as not connected.
func TestRefusedSubscription(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan struct{})
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for asked := 0; ; {
			p, err := packets.ReadPacket(conn)
			if err != nil {
				return
			}
			var reply packets.Packet
			switch in := p.Content.(type) {
			case *packets.Connect:
				reply = &packets.Connack{Properties: &packets.Properties{}}
			case *packets.Subscribe:
				code := byte(packets.SubackNotauthorized)
				if asked++; asked > 1 {
					<-refused
					code = packets.SubackGrantedQoS1
				}
				reply = &packets.Suback{PacketID: in.PacketID, Reasons: []byte{code}, Properties: &packets.Properties{}}
			case *packets.Pingreq:
				reply = &packets.Pingresp{}
			default:
				continue
			}
			if _, err := reply.WriteTo(conn); err != nil {
				return
			}
		}
	}()
	c, err := New(Options{URL: "tcp://" + l.Addr().String(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c.Handle("a", func(context.Context, []byte) {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	wait := func(what string, is func(Status) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !is(c.Status()); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, c.Status())
			}
		}
	}
	wait("the refusal is told", func(s Status) bool { return !s.Connected && s.Error != "" })
	close(refused)
	wait("it is asked again", func(s Status) bool { return s.Connected })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	l.Close()
	<-served
}
