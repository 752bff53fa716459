// Package redeem answers guests who show or redeem an invitation through a broker: it opens
// what was sealed to a link, has access decide, and seals the reply. A message that belongs to
// no link costs one look into a table, and gets no answer.
package redeem

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/invitation"
	"github.com/ownline/ownline/internal/logging"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
	"github.com/ownline/ownline/internal/web/follow"
)

// Invitations is what a Room wishes of the use cases.
type Invitations interface {
	Unsealing(context.Context) (map[ownline.InvitationID]ownline.Secret, error)
	Welcome(context.Context, access.Guest) (access.Welcome, error)
	Redeem(context.Context, access.Guest) (ownline.SessionInfo, error)
}

// Publisher sends a message to a topic.
type Publisher interface {
	Publish(ctx context.Context, topic string, payload []byte) error
}

// perMinute is how many asks of one link are looked at.
const perMinute = 30

// Room answers guests. Safe for concurrent use.
type Room struct {
	invitations Invitations
	code        func(string) (string, map[string]string)
	log         *slog.Logger

	mu    sync.Mutex // guards what follows, and every link's seen and minute
	links map[ownline.InvitationID]*link
	table map[invitation.Hint]*link // by how the asks of now begin
}

// link is an invitation whose asks are answered.
type link struct {
	id     ownline.InvitationID
	keys   *invitation.Keys
	minute int64                     // the one that seen is of
	seen   map[invitation.Nonce]bool // asks of this minute and, marked false, of the one before
}

// New makes a Room; it starts nothing. code names the sentences by which guests are refused, and
// says what is in their places.
func New(i Invitations, code func(sentence string) (string, map[string]string), log *slog.Logger) *Room {
	return &Room{invitations: i, code: code, log: log}
}

// Run keeps the table of links until ctx ends.
func (r *Room) Run(ctx context.Context, changes follow.Changes) error {
	follow.Run(ctx, changes, r.look, r.log, access.EventInvitation)
	return nil
}

// look reads which links there are, and makes the table of how their asks begin.
func (r *Room) look(ctx context.Context) error {
	unsealing, err := r.invitations.Unsealing(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	had := r.links
	r.mu.Unlock()
	links := make(map[ownline.InvitationID]*link, len(unsealing))
	table := make(map[invitation.Hint]*link, 3*len(unsealing))
	epoch := invitation.EpochOf(time.Now())
	for id, secret := range unsealing {
		l := had[id]
		if l == nil {
			keys, err := invitation.ParseKeys(secret)
			if err != nil {
				return err
			}
			l = &link{id: id, keys: keys, seen: make(map[invitation.Nonce]bool)}
		}
		links[id] = l
		for e := max(epoch, 1) - 1; e <= epoch+1; e++ {
			table[l.keys.Hint(e)] = l
		}
	}
	r.mu.Lock()
	r.links, r.table = links, table
	r.mu.Unlock()
	return nil
}

// From returns what answers the messages of one broker, through that broker.
func (r *Room) From(p Publisher) func(context.Context, []byte) {
	return func(ctx context.Context, message []byte) { r.handle(ctx, p, message) }
}

func (r *Room) handle(ctx context.Context, p Publisher, message []byte) {
	hint, ok := invitation.HintOf(message)
	if !ok {
		return
	}
	r.mu.Lock()
	l := r.table[hint]
	r.mu.Unlock()
	if l == nil {
		return
	}
	ask, err := l.keys.OpenAsk(message)
	if err != nil || !r.admit(l, ask.Nonce, time.Now()) {
		return
	}
	reply, ok := r.reply(ctx, l.id, ask)
	if !ok {
		return
	}
	var nonce invitation.Nonce
	rand.Read(nonce[:]) // never fails: crypto/rand crashes the program instead
	sealed, err := l.keys.SealReply(ask.Nonce, nonce, reply)
	if err == nil {
		err = p.Publish(ctx, l.keys.AnswerTopic(ask.Nonce), sealed)
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("a guest got no answer", "invitation", l.id, logging.Err, err)
	}
}

// admit reports whether an ask is to be looked at: it was not seen before, and the link is not
// flooded. Whether a redeem counts is decided by the database; this only saves it the trouble.
func (r *Room) admit(l *link, n invitation.Nonce, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if minute := now.Unix() / 60; minute != l.minute {
		kept := make(map[invitation.Nonce]bool)
		for old, recent := range l.seen {
			if recent && minute == l.minute+1 {
				kept[old] = false
			}
		}
		l.minute, l.seen = minute, kept
	}
	recent := 0
	for _, is := range l.seen {
		if is {
			recent++
		}
	}
	if _, dup := l.seen[n]; dup || recent >= perMinute {
		return false
	}
	l.seen[n] = true
	return true
}

// reply says what became of an ask; not ok: nothing is to be said.
func (r *Room) reply(ctx context.Context, id ownline.InvitationID, ask invitation.Ask) (out invitation.Reply, ok bool) {
	now := time.Now()
	if !invitation.Fresh(ask.Time, now) {
		return invitation.Reply{Status: invitation.Clock, Time: now.UnixMilli()}, true
	}
	g := access.Guest{Sealed: id, Nonce: ask.Nonce[:], Source: ask.Source}
	var opened ownline.SessionInfo
	var refused error
	if ask.Kind == invitation.Redeem {
		opened, refused = r.invitations.Redeem(ctx, g)
		if errors.Is(refused, access.ErrRepeated) {
			return out, false
		}
	}
	w, err := r.invitations.Welcome(ctx, g)
	if err != nil {
		r.log.Error("an invitation can't be shown", "invitation", id, logging.Err, err)
		return invitation.Reply{Status: invitation.Unavailable, Time: now.UnixMilli()}, true
	}
	out = invitation.Reply{
		Status: invitation.Status(w.State), Time: time.Now().UnixMilli(),
		Host: w.SiteHost, Service: w.ServiceName, From: w.UserName, Message: w.Message,
		Seconds: int64(w.For / time.Second), Until: w.Expires.UnixMilli(), Left: w.Uses - w.Used, Families: w.Families(),
	}
	if access.IsBuiltinIcon(w.ServiceIcon) { // pictures have no room in a reply
		out.Icon = w.ServiceIcon
	}
	switch {
	case refused != nil:
		r.refuse(&out, id, refused)
	case !opened.ID.IsZero():
		show(&out, opened)
	case !w.Session.ID.IsZero():
		show(&out, w.Session)
	}
	return out, true
}

// show tells where the open session leads.
func show(out *invitation.Reply, s ownline.SessionInfo) {
	out.Status, out.Transport, out.Port = invitation.Opened, string(s.Transport), s.PublicPort
	out.Expires, out.Source = s.Expires.UnixMilli(), s.Source.String()
}

// refuse tells why nothing was opened.
func (r *Room) refuse(out *invitation.Reply, id ownline.InvitationID, err error) {
	fe, known := errors.AsType[*ownline.FieldError](err)
	switch {
	case errors.Is(err, ownline.ErrUnavailable):
		out.Status = invitation.Unavailable
	case known && fe.Field == "invitation" && out.Status != invitation.Valid:
		// Its state says it already.
	case known:
		out.Status, out.Detail = invitation.Refused, fe.Detail
		out.Code, out.Params = r.code(fe.Detail)
		out.Message = "" // said before; a long one leaves no room
	default:
		r.log.Error("a guest's redeem failed", "invitation", id, logging.Err, err)
		out.Status = invitation.Unavailable
	}
}
