package mqttbroker

import (
	"bytes"
	"crypto/rand"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/ownline/ownline/internal/knock"
)

// rules says what clients may do. The library asks it.
type rules struct {
	mqtt.HookBase
	broker *Broker
}

// ID names the rules for the library.
func (*rules) ID() string { return "ownline" }

// Provides says what the library is to ask us about.
func (*rules) Provides(what byte) bool {
	return bytes.IndexByte([]byte{mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish}, what) >= 0
}

// OnConnect gives every connection a name of its own, so that nobody takes over somebody
// else's by knowing it, and sees to it that nothing outlives it.
func (*rules) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	cl.ID = rand.Text()
	cl.Properties.Clean = true
	cl.Properties.Will = mqtt.Will{}
	if most := uint16(longestSilence / time.Second); cl.State.Keepalive == 0 || cl.State.Keepalive > most {
		cl.State.Keepalive, cl.State.ServerKeepalive = most, true
	}
	return nil
}

// OnConnectAuthenticate asks for the name and the password.
func (r *rules) OnConnectAuthenticate(cl *mqtt.Client, p packets.Packet) bool {
	l, ok := cl.Net.Conn.(*line)
	return ok && r.broker.enter(l, string(p.Connect.Username), p.Connect.Password)
}

// OnACLCheck lets a client publish to the topic of its kind, and read the answer to what it
// has asked: only who has sealed the question knows the topic.
func (r *rules) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	l, ok := cl.Net.Conn.(*line)
	if !ok || l.account == nil {
		return false
	}
	if write {
		ok = name == l.account.topic
	} else {
		ok = knock.IsAnswerTopic(name)
	}
	if !ok && write {
		r.broker.refuse(topic)
	} else if !ok {
		r.broker.refuse(subscription)
	}
	return ok
}

// OnPacketRead ends the connection of a client that sends too much, or wants to read too many
// topics. What it has sent before counts.
func (r *rules) OnPacketRead(cl *mqtt.Client, p packets.Packet) (packets.Packet, error) {
	l, ok := cl.Net.Conn.(*line)
	if !ok {
		return p, packets.ErrRejectPacket
	}
	if !l.allow(time.Now()) {
		r.broker.refuse(rate)
		return p, packets.ErrRejectPacket
	}
	if p.FixedHeader.Type == packets.Subscribe && len(p.Filters)+cl.State.Subscriptions.Len() > answers {
		r.broker.refuse(subscription)
		return p, packets.ErrRejectPacket
	}
	return p, nil
}

// OnPublish takes what clients publish. No client gets it: the topic is for web to read.
func (r *rules) OnPublish(cl *mqtt.Client, p packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return p, nil
	}
	if p.FixedHeader.Retain {
		r.broker.refuse(retained)
	} else {
		r.broker.take(p.TopicName, p.Payload)
	}
	return p, packets.CodeSuccessIgnore
}
