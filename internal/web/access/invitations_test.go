package access_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

var (
	guestAt = netip.MustParseAddr("198.51.100.40")
	otherAt = netip.MustParseAddr("198.51.100.41")
)

func (h *house) invite(n access.NewInvitation) (ownline.InvitationInfo, ownline.Secret) {
	h.t.Helper()
	if n.Service.IsZero() {
		n.Service = h.ssh.ID
	}
	i, secret, err := h.Invite(h.t.Context(), h.ana, n)
	if err != nil {
		h.t.Fatal(err)
	}
	return i, secret
}

func (h *house) redeem(secret ownline.Secret, at netip.Addr) (ownline.SessionInfo, error) {
	return h.Redeem(h.t.Context(), access.Guest{Secret: secret, Source: at})
}

func (h *house) mustRedeem(secret ownline.Secret, at netip.Addr) ownline.SessionInfo {
	h.t.Helper()
	s, err := h.redeem(secret, at)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func (h *house) invitation(id ownline.InvitationID) ownline.InvitationInfo {
	h.t.Helper()
	i, err := h.Invitation(h.t.Context(), command, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return i
}

func wantOver(t *testing.T, err error, word string) {
	t.Helper()
	if !errors.Is(err, ownline.ErrConflict) || field(err) != "invitation" || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v, want a conflict about the invitation: %q", err, word)
	}
}

func TestInviteAndRedeem(t *testing.T) {
	h := newHouse(t)
	i, secret := h.invite(access.NewInvitation{Message: "For you", For: 10 * time.Minute})
	if i.Uses != 1 || i.Used != 0 || !i.Expires.Equal(i.Created.Add(24*time.Hour)) || i.Message != "For you" || i.ServiceName != "ssh" {
		t.Errorf("the invitation is %+v", i)
	}
	if _, err := h.redeem(make(ownline.Secret, 32), guestAt); !errors.Is(err, ownline.ErrNotFound) || field(err) != "secret" {
		t.Errorf("another secret: %v", err)
	}
	guest := access.Guest{Secret: secret, Source: guestAt}
	for range 3 { // looking consumes nothing
		w, err := h.Welcome(t.Context(), guest)
		if err != nil || w.State != ownline.InvitationValid || w.SiteHost != "home.example.org" || w.UserName != "ana" || w.For != 10*time.Minute || !w.Session.ID.IsZero() {
			t.Fatalf("Welcome = %+v, %v", w, err)
		}
	}
	if len(h.cores.open) != 0 {
		t.Fatal("something is open before anybody redeemed")
	}
	s := h.mustRedeem(secret, guestAt)
	if s.State != ownline.Active || s.Source.Addr() != guestAt || s.Service != h.ssh.ID || s.User != h.ana.User.ID || s.Invitation != i.ID {
		t.Errorf("the guest's session is %+v", s)
	}
	if left := time.Until(s.Expires); left > 10*time.Minute || left < 9*time.Minute {
		t.Errorf("it lasts %s", left)
	}
	if len(h.cores.open) != 1 {
		t.Error("core does not hold the guest's session")
	}
	// The same address again: the same session, and no other use.
	if again := h.mustRedeem(secret, guestAt); again.ID != s.ID {
		t.Error("the same guest got another session")
	}
	if w, err := h.Welcome(t.Context(), guest); err != nil || w.State != ownline.InvitationUsed || w.Session.ID != s.ID {
		t.Errorf("Welcome back = %+v, %v", w, err)
	}
	_, err := h.redeem(secret, otherAt)
	wantOver(t, err, "used")
	if w, err := h.Welcome(t.Context(), access.Guest{Secret: secret, Source: otherAt}); err != nil || !w.Session.ID.IsZero() {
		t.Errorf("a stranger with the link learns of the session: %+v, %v", w.Session, err)
	}
	// The inviter's own session from the guest's address is another one.
	me := h.ana
	me.Client = guestAt
	if own := h.open(me, access.OpenAsk{Service: h.ssh.ID}); own.ID == s.ID || !own.Invitation.IsZero() {
		t.Error("the inviter's own session is the guest's")
	}
	if got := h.invitation(i.ID); got.Used != 1 {
		t.Errorf("%d uses", got.Used)
	}
}

// Two parallel redeems of a single-use invitation give one session.
func TestRedeemAtOnce(t *testing.T) {
	h := newHouse(t)
	for round := range 5 {
		i, secret := h.invite(access.NewInvitation{Uses: 2})
		var wg sync.WaitGroup
		var mu sync.Mutex
		sessions := map[ownline.SessionID]bool{}
		var refused int
		for n := range 8 {
			at := netip.AddrFrom4([4]byte{203, 0, 113, byte(10*round + n)})
			wg.Go(func() {
				s, err := h.Redeem(context.Background(), access.Guest{Secret: secret, Source: at})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					sessions[s.ID] = true
				case errors.Is(err, ownline.ErrConflict):
					refused++
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(sessions) != 2 || refused != 6 || h.invitation(i.ID).Used != 2 {
			t.Errorf("two uses gave %d sessions and %d refusals", len(sessions), refused)
		}
	}
	// One guest who clicks twice gets one session for one use.
	i, secret := h.invite(access.NewInvitation{Uses: 5})
	var wg sync.WaitGroup
	ids := make([]ownline.SessionID, 4)
	for n := range ids {
		wg.Go(func() {
			s, err := h.Redeem(context.Background(), access.Guest{Secret: secret, Source: guestAt})
			if err != nil {
				t.Error(err)
			}
			ids[n] = s.ID
		})
	}
	wg.Wait()
	if ids[0] != ids[1] || ids[0] != ids[2] || ids[0] != ids[3] || h.invitation(i.ID).Used != 1 {
		t.Errorf("four clicks gave %v, %d uses", ids, h.invitation(i.ID).Used)
	}
}

func TestInvitationEnds(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(h *house, i ownline.InvitationInfo) error
		word string
	}{
		"revoked": {func(h *house, i ownline.InvitationInfo) error {
			_, err := h.RevokeInvitation(h.t.Context(), h.ana, i.ID)
			return err
		}, "revoked"},
		"grant lost": {func(h *house, i ownline.InvitationInfo) error {
			return h.RemoveGrant(h.t.Context(), command, h.grant.ID)
		}, "opens nothing"},
		"inviter disabled": {func(h *house, i ownline.InvitationInfo) error {
			yes := true
			_, err := h.ChangeUser(h.t.Context(), command, h.ana.User.ID, access.UserChange{Disabled: &yes})
			return err
		}, "opens nothing"},
		"inviter removed": {func(h *house, i ownline.InvitationInfo) error {
			return h.RemoveUser(h.t.Context(), command, h.ana.User.ID)
		}, "opens nothing"},
		"service removed": {func(h *house, i ownline.InvitationInfo) error {
			return h.RemoveService(h.t.Context(), command, h.ssh.ID)
		}, "opens nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			i, secret := h.invite(access.NewInvitation{Uses: 3})
			s := h.mustRedeem(secret, guestAt)
			if err := tc.end(h, i); err != nil {
				t.Fatal(err)
			}
			got, err := h.Session(t.Context(), command, s.ID)
			if err != nil || got.State != ownline.Ended || got.Reason != ownline.Revoked || len(h.cores.open) != 0 {
				t.Errorf("the guest's session is %+v, %v; core holds %d", got, err, len(h.cores.open))
			}
			_, err = h.redeem(secret, otherAt)
			wantOver(t, err, tc.word)
			if w, err := h.Welcome(t.Context(), access.Guest{Secret: secret, Source: otherAt}); err != nil || w.State != ownline.InvitationRevoked {
				t.Errorf("Welcome = %+v, %v", w.State, err)
			}
		})
	}
}

// An admin needs no grant to invite, but loses that with the role.
func TestAdminInvites(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	_, secret, err := h.Invite(ctx, h.root, access.NewInvitation{Service: h.web.ID, Uses: 2})
	if err != nil {
		t.Fatal(err)
	}
	s := h.mustRedeem(secret, guestAt)
	if _, err := h.AddUser(ctx, command, access.NewUser{Name: "second", Password: "x", Role: ownline.Admin}); err != nil {
		t.Fatal(err)
	}
	person := ownline.Person
	if _, err := h.ChangeUser(ctx, command, h.root.User.ID, access.UserChange{Role: &person}); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Session(ctx, command, s.ID); err != nil || got.State != ownline.Ended {
		t.Errorf("the guest of an admin who is none any more is still in: %+v, %v", got.State, err)
	}
	_, err = h.redeem(secret, otherAt)
	wantOver(t, err, "opens nothing")
}

// A use that opened nothing is given back.
func TestRedeemWithoutCore(t *testing.T) {
	h := newHouse(t)
	i, secret := h.invite(access.NewInvitation{})
	h.cores.down = true
	if _, err := h.redeem(secret, guestAt); !errors.Is(err, ownline.ErrUnavailable) {
		t.Fatalf("redeemed without core: %v", err)
	}
	if got := h.invitation(i.ID); got.Used != 0 {
		t.Errorf("%d uses are gone", got.Used)
	}
	h.cores.down = false
	h.mustRedeem(secret, otherAt)
	if got := h.invitation(i.ID); got.Used != 1 {
		t.Errorf("%d uses after one guest", got.Used)
	}
}

func TestInvitationExpires(t *testing.T) {
	h := newHouse(t)
	i, secret := h.invite(access.NewInvitation{Uses: 3})
	s := h.mustRedeem(secret, guestAt)
	if err := h.store.Exec(t.Context(), "UPDATE invitations SET expires = 1000"); err != nil {
		t.Fatal(err)
	}
	_, err := h.redeem(secret, otherAt)
	wantOver(t, err, "expired")
	if again := h.mustRedeem(secret, guestAt); again.ID != s.ID {
		t.Error("a guest who is in is in another session")
	}
	if got := h.invitation(i.ID); got.Used != 1 || got.State(time.Now()) != ownline.InvitationExpired {
		t.Errorf("the invitation is %+v", got)
	}
}

// A sealed message counts once.
func TestSealedOnce(t *testing.T) {
	h := newHouse(t)
	i, _ := h.invite(access.NewInvitation{Uses: 5})
	g := access.Guest{Sealed: i.ID, Nonce: []byte("123456789012"), Source: guestAt}
	s, err := h.Redeem(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Close(t.Context(), h.ana, s.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Redeem(t.Context(), g); !errors.Is(err, access.ErrRepeated) {
		t.Errorf("the same message again: %v", err)
	}
	if got := h.invitation(i.ID); got.Used != 1 || len(h.cores.open) != 0 {
		t.Errorf("%d uses, %d open", got.Used, len(h.cores.open))
	}
	keys, err := h.Unsealing(t.Context())
	if err != nil || len(keys[i.ID]) != 96 {
		t.Errorf("Unsealing = %d bytes, %v", len(keys[i.ID]), err)
	}
}

type atlas map[netip.Addr]string

func (a atlas) Country(at netip.Addr) (string, bool) { c, ok := a[at]; return c, ok }

func TestInvitationCountries(t *testing.T) {
	h := newHouse(t)
	n := access.NewInvitation{Service: h.ssh.ID, Countries: []string{"es", "DE", "ES"}}
	if _, _, err := h.Invite(t.Context(), h.ana, n); !errors.Is(err, ownline.ErrInvalid) || field(err) != "countries" {
		t.Errorf("countries without a database: %v", err)
	}
	h.countries = atlas{guestAt: "ES", otherAt: "FR"}
	h.Access = h.with(h.cores)
	n.Countries = []string{"Spain"}
	if _, _, err := h.Invite(t.Context(), h.ana, n); !errors.Is(err, ownline.ErrInvalid) || field(err) != "countries" {
		t.Errorf("a country that is no code: %v", err)
	}
	n.Countries = []string{"es", "uk"}
	if _, _, err := h.Invite(t.Context(), h.ana, n); field(err) != "countries" || !strings.Contains(err.Error(), "write GB") {
		t.Errorf("a country that there is not: %v", err)
	}
	i, secret := h.invite(access.NewInvitation{Uses: 9, Countries: []string{"es", "DE", "ES"}})
	if strings.Join(i.Countries, " ") != "DE ES" {
		t.Errorf("countries = %v", i.Countries)
	}
	for at, ok := range map[netip.Addr]bool{guestAt: true, otherAt: false, bobAt: false} {
		_, err := h.redeem(secret, at)
		if ok && err != nil || !ok && !errors.Is(err, ownline.ErrForbidden) {
			t.Errorf("from %s: %v", at, err)
		}
	}
	h.countries = nil
	h.Access = h.with(h.cores)
	if _, err := h.redeem(secret, netip.MustParseAddr("198.51.100.50")); !errors.Is(err, ownline.ErrForbidden) {
		t.Errorf("without the database: %v", err)
	}
}

// Invariants 7 and 10.
func TestInvitationRefusals(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	i, secret := h.invite(access.NewInvitation{})
	before := h.count()
	for name, tc := range map[string]struct {
		actor access.Actor
		n     access.NewInvitation
		kind  error
		field string
	}{
		"nobody":             {access.Actor{}, access.NewInvitation{Service: h.ssh.ID}, ownline.ErrUnauthorized, ""},
		"without a grant":    {h.bob, access.NewInvitation{Service: h.ssh.ID}, ownline.ErrNotFound, "service"},
		"unknown service":    {h.ana, access.NewInvitation{Service: ownline.NewID[ownline.Service]()}, ownline.ErrNotFound, "service"},
		"a command":          {command, access.NewInvitation{Service: h.ssh.ID}, ownline.ErrForbidden, "user"},
		"too long":           {h.ana, access.NewInvitation{Service: h.ssh.ID, For: 25 * time.Hour}, ownline.ErrInvalid, "for"},
		"too many":           {h.ana, access.NewInvitation{Service: h.ssh.ID, Uses: 1001}, ownline.ErrInvalid, "uses"},
		"fewer than none":    {h.ana, access.NewInvitation{Service: h.ssh.ID, Uses: -1}, ownline.ErrInvalid, "uses"},
		"over at once":       {h.ana, access.NewInvitation{Service: h.ssh.ID, Lasts: time.Second}, ownline.ErrInvalid, "expires_in"},
		"a whole book":       {h.ana, access.NewInvitation{Service: h.ssh.ID, Message: strings.Repeat("ä", 241)}, ownline.ErrInvalid, "message"},
		"control characters": {h.ana, access.NewInvitation{Service: h.ssh.ID, Message: "a\x1b[2Jb"}, ownline.ErrInvalid, "message"},
	} {
		if _, _, err := h.Invite(ctx, tc.actor, tc.n); !errors.Is(err, tc.kind) || field(err) != tc.field {
			t.Errorf("%s: %v, want %v about %q", name, err, tc.kind, tc.field)
		}
	}
	if _, err := h.Invitation(ctx, h.bob, i.ID); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("bob sees ana's invitation: %v", err)
	}
	if _, err := h.RevokeInvitation(ctx, h.bob, i.ID); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("bob revokes ana's invitation: %v", err)
	}
	list := func(actor access.Actor, all bool) int {
		is, _, err := h.Invitations(ctx, actor, access.InvitationsAsk{All: all})
		if err != nil {
			return -1
		}
		return len(is)
	}
	if list(h.ana, false) != 1 || list(h.bob, false) != 0 || list(h.bob, true) != -1 || list(h.root, false) != 0 || list(h.root, true) != 1 {
		t.Error("the lists are not of whose the invitations are")
	}
	for _, at := range []string{"192.168.7.4", "127.0.0.1", "100.64.1.1", "::1"} {
		if _, err := h.redeem(secret, netip.MustParseAddr(at)); !errors.Is(err, ownline.ErrInvalid) || field(err) != "source" {
			t.Errorf("redeemed from %s: %v", at, err)
		}
	}
	if after := h.count(); after != before {
		t.Errorf("something has changed:\n%s\n%s", before, after)
	}
}

// What happens to invitations is news, told once.
func TestInvitationNews(t *testing.T) {
	h := newHouse(t)
	h.paper.take(t)
	_, secret := h.invite(access.NewInvitation{})
	h.mustRedeem(secret, guestAt)
	h.mustRedeem(secret, guestAt)
	got := strings.Join(h.paper.take(t), "\n")
	for _, want := range []string{"invitation.created ana service=ssh site=home", "invitation.redeemed ana by=a guest service=ssh site=home", "session.opened ana by=a guest service=ssh site=home"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("want %q once in\n%s", want, got)
		}
	}
}
