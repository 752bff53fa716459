package access_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// stepped is a published web with a doorstep; until tells until when it is open, and that its core
// was told so.
func stepped(t *testing.T) (h *house, until func() time.Time) {
	t.Helper()
	h, _ = published(t)
	h.doorstep = true
	h.Access = h.with(h.cores)
	return h, func() time.Time {
		t.Helper()
		st, _, err := h.Desired(t.Context(), h.site.ID)
		if err != nil || st.Doorstep == nil || st.Doorstep.Web4 != h.publish || st.Doorstep.Web6.IsValid() {
			t.Fatalf("the doorstep is %+v, %v", st.Doorstep, err)
		}
		return st.Doorstep.Until
	}
}

func (h *house) revision() uint64 {
	h.t.Helper()
	st, _, err := h.Desired(h.t.Context(), h.site.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return st.Revision.Revision
}

// Invariants 1 and 4: the doorstep is open while an unused invitation is valid that opens
// something, until the last of them ends, and whatever changes that reaches core with a revision.
func TestDoorstep(t *testing.T) {
	h, until := stepped(t)
	ctx := t.Context()
	if at, err := h.Doorstep(ctx, h.site.ID); err != nil || at != "https://doorstep.home.example.org:9999/" {
		t.Fatalf("guests meet us at %q, %v", at, err)
	}
	if !until().IsZero() {
		t.Fatal("the doorstep is open with no invitation")
	}
	told := h.revision()
	follows := func(when string, want time.Time) {
		t.Helper()
		if got := until(); !got.Equal(want) {
			t.Errorf("%s, the doorstep is open until %v, want %v", when, got, want)
		}
		if now := h.revision(); now <= told {
			t.Errorf("%s, core is not told", when)
		} else {
			told = now
		}
	}
	long, _ := h.invite(access.NewInvitation{Lasts: 2 * time.Hour})
	follows("with an invitation", long.Expires)
	short, secret := h.invite(access.NewInvitation{Lasts: time.Hour})
	if got := until(); !got.Equal(long.Expires) || h.revision() != told {
		t.Errorf("with a shorter one, it is open until %v", got)
	}
	if _, err := h.RevokeInvitation(ctx, h.ana, long.ID); err != nil {
		t.Fatal(err)
	}
	follows("with the longer one revoked", short.Expires)

	// What the inviter may not any more, opens nothing.
	if _, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	follows("with who invited locked out", time.Time{})
	if _, err := h.ChangeUser(ctx, command, h.ana.User.ID, access.UserChange{Disabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	follows("with them back", short.Expires)

	// The last use: core is told once the guest has an answer.
	run, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- h.Run(run) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	h.mustRedeem(secret, guestAt)
	for end := time.Now().Add(15 * time.Second); !strings.HasPrefix(h.setting("doorstep."+h.site.ID.String()), "shut"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("after the last use, core is not told")
		}
	}
	follows("after the last use", time.Time{})
}

// Invariants 1 and 4: with the doorstep shut, the guest of a session meets it until a moment after that is
// over, from where they are, and nobody else does; core learns it, and of what comes through it does not.
func TestGuestAtDoorstep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, until := stepped(t)
		defer h.run()()
		ctx := t.Context()
		led := func() (ss []link.Session) {
			t.Helper()
			synctest.Wait()
			st, _, err := h.Desired(ctx, h.site.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range st.Sessions {
				if s.ServiceID == ownline.DoorstepID {
					ss = append(ss, s)
				}
			}
			return ss
		}
		said := func() string { return h.setting("doorstep." + h.site.ID.String()) }
		told := said()
		learns := func(when string) {
			t.Helper()
			if is := said(); is == told {
				t.Errorf("%s, core is not told", when)
			} else {
				told = is
			}
		}
		ends := func(when string, ss []link.Session, want time.Time) {
			t.Helper()
			if len(ss) != 1 || !ss[0].Expires.Equal(want.UTC().Truncate(time.Millisecond)) {
				t.Fatalf("%s, guests are led to the doorstep by %+v, want it until %v", when, ss, want)
			}
		}
		i, secret := h.invite(access.NewInvitation{Lasts: 2 * time.Hour, Uses: 2, For: 10*time.Minute + time.Second})
		if ss := led(); len(ss) != 0 {
			t.Errorf("before anybody came, guests are led to the doorstep by %+v", ss)
		}
		first := h.mustRedeem(secret, guestAt)
		ends("let in", led(), first.Expires.Add(2*time.Minute))
		learns("with a guest let in")
		if err := h.Traffic(ctx, h.site.ID, []link.Traffic{{ID: first.ID, Traffic: ownline.Traffic{UpPackets: 1}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(first.Expires) + time.Minute)
		ends("over by itself", led(), first.Expires.Add(2*time.Minute))
		if said() != told {
			t.Error("core is told again of what it knows")
		}
		time.Sleep(2 * time.Minute)
		if ss := led(); len(ss) != 0 {
			t.Errorf("a while after the session, its guest is led to the doorstep by %+v", ss)
		}

		// The last use, which is withdrawn.
		second := h.mustRedeem(secret, guestAt)
		ss := led()
		ends("let in again", ss, second.Expires.Add(2*time.Minute))
		if got := ss[0]; !until().IsZero() || got.ID == second.ID || got.Kind != ownline.Proxy || got.Source != second.Source || got.Transport != ownline.TCP || got.PublicPort != 9999 {
			t.Errorf("open to everybody until %v, to the guest by %+v, their session is %+v", until(), got, second)
		}
		learns("after the last use")
		if _, err := h.RevokeInvitation(ctx, h.ana, i.ID); err != nil {
			t.Fatal(err)
		}
		ends("withdrawn", led(), time.Now().Add(2*time.Minute))
		learns("with it withdrawn")
	})
}

func (h *house) setting(key string) (v string) {
	h.t.Helper()
	err := access.Over(h.store).Read(h.t.Context(), func(tx access.Tx) (err error) {
		v, err = tx.Setting(key)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return v
}

// Off by default, and nowhere where web is not published: links lead to Ownline itself.
func TestNoDoorstep(t *testing.T) {
	h, _ := published(t)
	h.invite(access.NewInvitation{})
	none := func(why string) {
		t.Helper()
		st, _, err := h.Desired(t.Context(), h.site.ID)
		if err != nil || st.Doorstep != nil {
			t.Errorf("%s: there is one, %+v, %v", why, st.Doorstep, err)
		}
		if at, err := h.Doorstep(t.Context(), h.site.ID); err != nil || at != "" {
			t.Errorf("%s: guests meet us at %q, %v", why, at, err)
		}
	}
	none("off")
	h.doorstep = true
	h.Access = h.with(h.cores)
	h.tell(link.Proxy{Driver: ownline.NoProxy})
	none("without a proxy")
}
