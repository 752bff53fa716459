package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// The versions of MQTT, as CONNECT has them.
const (
	version5 = 5
	version3 = 4 // 3.1.1
)

// errVersion says that a broker does not want our version of MQTT, as far as it can be told:
// old ones just hang up.
var errVersion = errors.New("the broker does not speak this version of MQTT")

// session is one connection to the broker, from CONNECT on. Nothing of it outlives the
// connection: neither end keeps messages for the other. Why it is ours: docs/adr/0010-mqtt-client.md.
type session struct {
	conn      net.Conn
	in        *bufio.Reader
	version   byte
	keepAlive time.Duration

	write   sync.Mutex // one packet at a time
	mu      sync.Mutex // guards what follows
	last    uint16     // the newest identifier of a request
	waiting map[uint16]chan packets.Packet
	ended   chan struct{} // closed when nothing is read any more
}

// open says CONNECT and waits for the broker's word. On an error the connection is closed.
func open(ctx context.Context, conn net.Conn, version byte, o Options, id string) (_ *session, err error) {
	s := &session{
		conn: conn, in: bufio.NewReaderSize(conn, maxPacket), version: version, keepAlive: keepAlive * time.Second,
		waiting: make(map[uint16]chan packets.Packet), ended: make(chan struct{}),
	}
	undo := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		if !undo() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			conn.Close()
		}
	}()
	if err := conn.SetReadDeadline(time.Now().Add(connectTimeout)); err != nil {
		return nil, err
	}
	hello := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, Connect: packets.ConnectParams{
		ProtocolName: []byte("MQTT"), Clean: true, Keepalive: keepAlive, ClientIdentifier: id,
		UsernameFlag: o.Username != "", Username: []byte(o.Username), PasswordFlag: len(o.Password) > 0, Password: o.Password,
	}}
	hello.Properties.MaximumPacketSize = maxPacket
	if err := s.send(hello); err != nil {
		return nil, fmt.Errorf("%w: %w", errVersion, err) // it may have hung up while we spoke
	}
	kind, body, _, err := s.read()
	switch {
	case hungUp(err):
		return nil, fmt.Errorf("%w: it hung up", errVersion)
	case err != nil:
		return nil, err
	case kind != packets.Connack<<4:
		return nil, errors.New("the broker's first word is not that of MQTT")
	case version == version5 && len(body) == 2 && body[1] != 0:
		return nil, fmt.Errorf("%w: it answers in that of 3.1.1", errVersion)
	}
	answer := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connack}, ProtocolVersion: version}
	if err := answer.ConnackDecode(body); err != nil {
		return nil, fmt.Errorf("the broker's first word is damaged: %w", err)
	}
	if err := refusal(version, answer.ReasonCode); err != nil {
		return nil, err
	}
	if answer.Properties.ServerKeepAliveFlag && answer.Properties.ServerKeepAlive > 0 {
		s.keepAlive = min(s.keepAlive, time.Duration(answer.Properties.ServerKeepAlive)*time.Second)
	}
	return s, nil
}

// hungUp reports whether the other end has closed the connection, or torn it down, which
// each system tells in its own way. An alert of TLS says what is wrong, like a certificate that
// we lack, and so is no such end: crypto/tls has it as a net.OpError of that name.
func hungUp(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.EOF) || ok && !op.Timeout() && op.Op != "remote error"
}

// refusal says what the broker's answer to CONNECT means; nil: welcome.
func refusal(version, code byte) error {
	type answer struct{ version, code byte }
	switch (answer{version, code}) {
	case answer{version5, 0}, answer{version3, 0}:
		return nil
	case answer{version5, 0x84}, answer{version3, 1}:
		return errVersion
	case answer{version5, 0x86}, answer{version3, 4}:
		return errors.New("the broker refuses the name or the password")
	case answer{version5, 0x87}, answer{version3, 5}:
		return errors.New("the broker does not let us in: it says that we are not authorized")
	}
	return fmt.Errorf("the broker refuses us with the code 0x%02x", code)
}

// read returns the next packet: its first byte and the rest behind the length. Of one that is
// too large only the beginning is kept, and whole is false.
func (s *session) read() (first byte, body []byte, whole bool, err error) {
	if first, err = s.in.ReadByte(); err != nil {
		return 0, nil, false, err
	}
	size := 0
	for shift := 0; ; shift += 7 {
		b, err := s.in.ReadByte()
		if err != nil {
			return 0, nil, false, err
		}
		size |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift == 21 {
			return 0, nil, false, errors.New("the broker sends a packet without end")
		}
	}
	body = make([]byte, min(size, maxPacket))
	if _, err := io.ReadFull(s.in, body); err != nil {
		return 0, nil, false, err
	}
	if size > len(body) {
		if _, err := io.CopyN(io.Discard, s.in, int64(size-len(body))); err != nil {
			return 0, nil, false, err
		}
	}
	return first, body, size == len(body), nil
}

// send writes one packet.
func (s *session) send(p packets.Packet) (err error) {
	p.ProtocolVersion = s.version
	var buf bytes.Buffer
	switch p.FixedHeader.Type {
	case packets.Connect:
		err = p.ConnectEncode(&buf)
	case packets.Subscribe:
		p.FixedHeader.Qos = 1 // the specification's flags
		err = p.SubscribeEncode(&buf)
	case packets.Publish:
		err = p.PublishEncode(&buf)
	case packets.Puback:
		err = p.PubackEncode(&buf)
	case packets.Pingreq:
		err = p.PingreqEncode(&buf)
	case packets.Disconnect:
		err = p.DisconnectEncode(&buf)
	}
	if err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(publishTimeout)); err != nil {
		return err
	}
	_, err = s.conn.Write(buf.Bytes())
	return err
}

// request sends a packet that the broker acknowledges, and returns how.
func (s *session) request(ctx context.Context, p packets.Packet) (packets.Packet, error) {
	answer := make(chan packets.Packet, 1)
	s.mu.Lock()
	for s.last++; s.last == 0 || s.waiting[s.last] != nil; s.last++ {
	}
	p.PacketID = s.last
	s.waiting[p.PacketID] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.waiting, p.PacketID)
		s.mu.Unlock()
	}()
	if err := s.send(p); err != nil {
		return packets.Packet{}, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-s.ended:
		return packets.Packet{}, errLost
	case <-ctx.Done():
		return packets.Packet{}, ctx.Err()
	}
}

// publish hands the broker a message.
func (s *session) publish(ctx context.Context, topic string, payload []byte) error {
	a, err := s.request(ctx, packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, TopicName: topic, Payload: payload})
	if err == nil && a.ReasonCode >= 0x80 {
		return fmt.Errorf("the broker refuses the message with the code 0x%02x", a.ReasonCode)
	}
	return err
}

// subscribe asks for topics, one request for all.
func (s *session) subscribe(ctx context.Context, topics []string) error {
	p := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}}
	for _, name := range topics {
		// 2: nothing that was retained. What is old is of no use to anybody.
		p.Filters = append(p.Filters, packets.Subscription{Filter: name, Qos: 1, RetainHandling: 2})
	}
	a, err := s.request(ctx, p)
	if err != nil {
		return err
	}
	if len(a.ReasonCodes) != len(topics) {
		return errors.New("the broker does not say which topics it lets us have")
	}
	for i, code := range a.ReasonCodes {
		if code >= 0x80 {
			return fmt.Errorf("the broker does not let us read %s: code 0x%02x", topics[i], code)
		}
	}
	return nil
}

var errLost = errors.New("the connection was lost")

// run reads until the connection ends, and says why it did. What arrives goes to received,
// which must not wait.
func (s *session) run(received func(topic string, payload []byte, retained bool)) error {
	defer close(s.ended)
	defer s.conn.Close()
	for {
		// An honest broker answers our pings.
		if err := s.conn.SetReadDeadline(time.Now().Add(s.keepAlive * 3 / 2)); err != nil {
			return err
		}
		first, body, whole, err := s.read()
		if err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		if err := s.handle(first, body, whole, received); err != nil {
			return err
		}
	}
}

func (s *session) handle(first byte, body []byte, whole bool, received func(string, []byte, bool)) error {
	p := packets.Packet{ProtocolVersion: s.version}
	err := p.FixedHeader.Decode(first)
	if err != nil {
		return fmt.Errorf("the broker sends nonsense: %w", err)
	}
	if !whole && p.FixedHeader.Type != packets.Publish {
		return errors.New("the broker sends more than we asked for")
	}
	switch p.FixedHeader.Type {
	case packets.Publish:
		// Two deliveries that wait for a third word are what we never ask for: they would have to be remembered.
		if err = p.PublishDecode(body); err == nil && p.FixedHeader.Qos > 1 {
			return errors.New("the broker sends more than we asked for")
		}
		if err == nil && whole {
			received(p.TopicName, p.Payload, p.FixedHeader.Retain)
		}
		if err == nil && p.FixedHeader.Qos == 1 {
			return s.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: p.PacketID})
		}
	case packets.Puback:
		if err = p.PubackDecode(body); err == nil {
			s.answered(p)
		}
	case packets.Suback:
		if err = p.SubackDecode(body); err == nil {
			s.answered(p)
		}
	case packets.Disconnect:
		return fmt.Errorf("%w: the broker hung up", errLost)
	case packets.Pingresp:
	default:
		return fmt.Errorf("the broker sends what none sends: a packet of type %d", p.FixedHeader.Type)
	}
	if err != nil {
		return fmt.Errorf("the broker sends nonsense: %w", err)
	}
	return nil
}

// answered tells the request that waits for this packet, if one does.
func (s *session) answered(p packets.Packet) {
	s.mu.Lock()
	waiting := s.waiting[p.PacketID]
	s.mu.Unlock()
	select {
	case waiting <- p: // nil if nobody waits: never ready
	default:
	}
}

// close says good-bye and ends run.
func (s *session) close() {
	// One that reads nothing is not waited for.
	defer time.AfterFunc(time.Second, func() { s.conn.Close() }).Stop()
	_ = s.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}) // it may be gone
	s.conn.Close()
}
