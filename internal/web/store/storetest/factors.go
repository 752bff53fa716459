package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

func testFactors(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx, u := t.Context(), f.User.ID
	if _, err := s.TOTP(ctx, u); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("no second factor: %v", err)
	}
	must(t, s.OfferTOTP(ctx, u, []byte("first"), T0))
	must(t, s.OfferTOTP(ctx, u, []byte("second"), T0.Add(1*time.Second)))
	got, err := s.TOTP(ctx, u)
	must(t, err)
	if string(got.Secret) != "second" || got.Confirmed || !got.Created.Equal(T0.Add(time.Second)) {
		t.Errorf("got %+v", got)
	}
	if ok, err := s.UseStep(ctx, u, 5); ok || err != nil {
		t.Errorf("one that is not confirmed counts: %v, %v", ok, err)
	}
	codes := [][]byte{[]byte("a"), []byte("b")}
	wantKind(t, "confirming another one", s.ConfirmTOTP(ctx, u, T0, 7, codes), ownline.ErrConflict, "totp")
	must(t, s.ConfirmTOTP(ctx, u, got.Created, 7, codes))
	wantKind(t, "confirming twice", s.ConfirmTOTP(ctx, u, got.Created, 7, codes), ownline.ErrConflict, "totp")
	wantKind(t, "another one", s.OfferTOTP(ctx, u, []byte("x"), T0), ownline.ErrConflict, "totp")

	// Once: of many at the same time one has it, and the step before it is gone, too.
	once := func(what string, use func() (bool, error)) {
		t.Helper()
		var mu sync.Mutex
		var wg sync.WaitGroup
		used := 0
		for range 8 {
			wg.Go(func() {
				ok, err := use()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if ok {
					used++
				}
			})
		}
		wg.Wait()
		equal(t, what, used, 1)
	}
	once("a step", func() (bool, error) { return s.UseStep(ctx, u, 9) })
	for _, step := range []int64{7, 8, 9} {
		if ok, err := s.UseStep(ctx, u, step); ok || err != nil {
			t.Errorf("step %d: %v, %v", step, ok, err)
		}
	}
	once("a recovery code", func() (bool, error) { return s.UseRecoveryCode(ctx, u, []byte("a")) })
	once("a step of a sign-in", func() (bool, error) {
		err := s.Spend(ctx, []byte("h"), T0.Add(time.Minute))
		if errors.Is(err, ownline.ErrConflict) {
			return false, nil
		}
		return err == nil, err
	})
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.Sweep(T0.Add(time.Minute), T0) }))
	must(t, s.Spend(ctx, []byte("h"), T0.Add(time.Minute))) // forgotten
	n, err := s.CountRecoveryCodes(ctx, u)
	must(t, err)
	equal(t, "codes left", n, 1)
	must(t, s.SetRecoveryCodes(ctx, u, [][]byte{[]byte("c"), []byte("d"), []byte("e")}))
	if ok, _ := s.UseRecoveryCode(ctx, u, []byte("b")); ok {
		t.Error("a code that was replaced counts")
	}
	must(t, s.RemoveTOTP(ctx, u))
	n, err = s.CountRecoveryCodes(ctx, u)
	must(t, err)
	equal(t, "codes without a second factor", n, 0)

	must(t, s.ReplacePassword(ctx, u, "hash", "new", true))
	wantKind(t, "replacing an old password", s.ReplacePassword(ctx, u, "hash", "x", false), ownline.ErrConflict, "password")
	who, hash, err := s.Password(ctx, u)
	must(t, err)
	if hash != "new" || !who.MustChange || who.ID != u {
		t.Errorf("got %+v, %q", who, hash)
	}
}

func testPasskeys(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	ctx, u := t.Context(), f.User.ID
	bob := ownline.User{ID: ownline.NewID[ownline.User](), Name: "bob", Role: ownline.Person, Created: T0}
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.AddUser(bob, "h") }))
	p := ownline.Passkey{ID: ownline.NewID[ownline.Passkey](), User: u, Name: "key", Credential: []byte{1, 2}, Data: []byte("data"), Created: T0}
	must(t, s.AddPasskey(ctx, p, 2))
	again := p
	again.ID, again.User = ownline.NewID[ownline.Passkey](), bob.ID
	wantKind(t, "the same credential", s.AddPasskey(ctx, again, 2), ownline.ErrConflict, "credential")
	second := p
	second.ID, second.Credential = ownline.NewID[ownline.Passkey](), []byte{3}
	must(t, s.AddPasskey(ctx, second, 2))
	third := second
	third.ID, third.Credential = ownline.NewID[ownline.Passkey](), []byte{4}
	wantKind(t, "one too many", s.AddPasskey(ctx, third, 2), ownline.ErrConflict, "")

	if err := s.RenamePasskey(ctx, bob.ID, p.ID, "x"); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("renaming somebody else's: %v", err)
	}
	must(t, s.RenamePasskey(ctx, u, p.ID, "blue key"))
	p.Name, p.Data, p.Cloned, p.LastUsed = "blue key", []byte("later"), true, T0.Add(time.Hour)
	must(t, s.UsePasskey(ctx, p))
	if err := s.DeletePasskey(ctx, bob.ID, second.ID); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("removing somebody else's: %v", err)
	}
	must(t, s.DeletePasskey(ctx, u, second.ID))
	got, err := s.Passkeys(ctx, u)
	must(t, err)
	equal(t, "Passkeys", got, []ownline.Passkey{p})

	must(t, s.OfferTOTP(ctx, u, []byte("x"), T0))
	must(t, s.Write(ctx, func(tx *store.Tx) error { return tx.ForgetFactors(u) }))
	got, err = s.Passkeys(ctx, u)
	must(t, err)
	equal(t, "after ForgetFactors", len(got), 0)
	if _, err := s.TOTP(ctx, u); !errors.Is(err, ownline.ErrNotFound) {
		t.Errorf("after ForgetFactors: %v", err)
	}
}
