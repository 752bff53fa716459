package invitation

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Status is what became of an ask.
type Status string

// What a reply says.
const (
	Valid       Status = "valid"       // to Show: it can be redeemed
	Opened      Status = "opened"      // the session is open: Host and Port lead to it
	Used        Status = "used"        // every use was made
	Expired     Status = "expired"     // too late
	Revoked     Status = "revoked"     // taken back
	Refused     Status = "refused"     // not for this address, or not any more; Detail says why
	Unavailable Status = "unavailable" // the site can't be reached now; a try later may work
	Clock       Status = "clock"       // the guest's clock is wrong; Time is web's
)

// Reply tells a guest what the link opens and what became of the ask. Times are Unix
// milliseconds; what does not apply is left out.
type Reply struct {
	Status Status `json:"status"`
	Detail string `json:"detail,omitempty"` // of a refusal, in English
	// Code names the sentence in Detail, and Params say what is in its places, as in the API's
	// problems; for pages that say it in another language.
	Code   string            `json:"code,omitempty"`
	Params map[string]string `json:"params,omitempty"`

	Time     int64  `json:"time"`              // web's clock
	Host     string `json:"host,omitempty"`    // where the service is
	Service  string `json:"service,omitempty"` // its name
	Icon     string `json:"icon,omitempty"`    // the name of its built-in icon
	From     string `json:"from,omitempty"`    // who invites
	Message  string `json:"message,omitempty"`
	Seconds  int64  `json:"seconds,omitempty"`  // how long a session lasts
	Until    int64  `json:"until,omitempty"`    // when the link ends
	Left     int    `json:"left,omitempty"`     // uses
	Families []int  `json:"families,omitempty"` // of addresses that it can be opened for: 4, 6

	Transport string `json:"transport,omitempty"` // opened: tcp or udp
	Port      uint16 `json:"port,omitempty"`
	URL       string `json:"url,omitempty"`     // of a service that browsers open
	Expires   int64  `json:"expires,omitempty"` // of the session
	Source    string `json:"source,omitempty"`  // that the session admits
}

// SealReply makes the one reply to the ask with the nonce asked. The nonce of the reply must
// never have been used with these keys.
func (k *Keys) SealReply(asked, nonce Nonce, r Reply) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(text)+2 > maxReply {
		return nil, fmt.Errorf("a reply of %d bytes is too long", len(text))
	}
	plain := make([]byte, maxReply)
	binary.BigEndian.PutUint16(plain, uint16(len(text)))
	copy(plain[2:], text)
	return k.sealReply(k.answerTag(asked), nonce, plain), nil
}

func (k *Keys) sealReply(first Hint, nonce Nonce, plain []byte) []byte {
	out := make([]byte, 0, ReplySize)
	out = append(append(out, first[:]...), nonce[:]...)
	return k.answer.Seal(out, nonce[:], plain, first[:])
}

// OpenReply reads the reply to the ask with that nonce. Anything else is ErrRejected.
func (k *Keys) OpenReply(message []byte, asked Nonce) (Reply, error) {
	want := k.answerTag(asked)
	if len(message) != ReplySize || subtle.ConstantTimeCompare(message[:HintSize], want[:]) != 1 {
		return Reply{}, ErrRejected
	}
	plain, err := k.answer.Open(nil, message[HintSize:HintSize+NonceSize], message[HintSize+NonceSize:], want[:])
	if err != nil {
		return Reply{}, ErrRejected
	}
	n := int(binary.BigEndian.Uint16(plain))
	if n+2 > len(plain) || !allZero(plain[2+n:]) {
		return Reply{}, ErrRejected
	}
	var r Reply
	d := json.NewDecoder(bytes.NewReader(plain[2 : 2+n]))
	if d.Decode(&r) != nil || d.More() || r.Status == "" {
		return Reply{}, ErrRejected
	}
	return r, nil
}
