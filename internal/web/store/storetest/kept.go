package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/store"
)

// What lets people in comes out as it went in, once, and not of users who were removed.
func testKept(t *testing.T, open func(testing.TB) *store.Store) {
	s := open(t)
	f := Fill(t, s)
	hash := func(c string) []byte { return []byte(strings.Repeat(c, 32)) }
	link := ownline.KeptLink{User: f.User.ID, Issuer: "https://id.example.org", Subject: "1", Created: T0}
	factor := ownline.KeptTOTP{User: f.User.ID, TOTP: ownline.TOTP{Secret: ownline.Secret("a secret"), Confirmed: true, LastStep: 1 << 40, Created: T0}, Codes: [][]byte{hash("1"), hash("2")}}
	passkey := ownline.Passkey{
		ID: ownline.NewID[ownline.Passkey](), User: f.User.ID, Name: "key", Credential: []byte("c"), Data: []byte("d"), Cloned: true, Created: T0, LastUsed: T0.Add(time.Hour),
	}
	token := ownline.KeptToken{Hash: hash("t"), Token: ownline.Token{
		ID: ownline.NewID[ownline.Token](), User: f.User.ID, Name: "backup", Scopes: []string{"read", "admin"}, Created: T0, Expires: T0.Add(time.Hour), LastUsed: T0.Add(time.Minute),
	}}
	invitation := ownline.KeptInvitation{Hash: hash("i"), Unseals: ownline.Secret("keys"), Invitation: ownline.Invitation{
		ID: ownline.NewID[ownline.Invitation](), User: f.User.ID, Service: f.Service.ID, Message: "For you", For: time.Minute, Uses: 3, Used: 2,
		Countries: []string{"ES", "PT"}, Created: T0, Expires: T0.Add(time.Hour), Revoked: T0.Add(time.Minute),
	}}
	silent := invitation
	silent.ID, silent.Hash, silent.Unseals, silent.Revoked = ownline.NewID[ownline.Invitation](), hash("j"), nil, time.Time{}
	must(t, s.OfferTOTP(t.Context(), f.User.ID, ownline.Secret("only offered"), T0))
	equal(t, "KeptTOTPs of one that was only offered", len(read(t, s, (*store.Tx).KeptTOTPs)), 0)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.Link(link.User, link.Issuer, link.Subject, link.Created), tx.KeepTOTP(factor), tx.KeepPasskey(passkey),
			tx.KeepToken(token), tx.KeepInvitation(invitation), tx.KeepInvitation(silent))
	}))
	equal(t, "KeptLinks", read(t, s, (*store.Tx).KeptLinks), []ownline.KeptLink{link})
	equal(t, "KeptTOTPs", read(t, s, (*store.Tx).KeptTOTPs), []ownline.KeptTOTP{factor})
	equal(t, "KeptPasskeys", read(t, s, (*store.Tx).KeptPasskeys), []ownline.Passkey{passkey})
	equal(t, "KeptTokens", read(t, s, (*store.Tx).KeptTokens), []ownline.KeptToken{token})
	equal(t, "KeptInvitations", read(t, s, (*store.Tx).KeptInvitations), []ownline.KeptInvitation{invitation, silent})
	equal(t, "Unsealing", len(read(t, s, (*store.Tx).Unsealing)), 1)

	again := func(what, field string, f func(*store.Tx) error) {
		t.Helper()
		wantKind(t, what, s.Write(t.Context(), f), ownline.ErrConflict, field)
	}
	again("KeepTOTP", "user", func(tx *store.Tx) error { return tx.KeepTOTP(factor) })
	again("KeepPasskey", "credential", func(tx *store.Tx) error { return tx.KeepPasskey(passkey) })
	again("KeepToken", "hash", func(tx *store.Tx) error { return tx.KeepToken(token) })
	stolen := invitation
	stolen.ID = ownline.NewID[ownline.Invitation]()
	again("KeepInvitation", "hash", func(tx *store.Tx) error { return tx.KeepInvitation(stolen) })

	// An invitation that went with its service comes back with that.
	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.RemoveService(f.Service.ID, T0) }))
	equal(t, "KeptInvitations of a service that was removed", len(read(t, s, (*store.Tx).KeptInvitations)), 0)
	must(t, s.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ReviveService(f.Service)
		return errors.Join(err, tx.KeepInvitation(silent))
	}))
	for _, i := range read(t, s, (*store.Tx).KeptInvitations) {
		if i.ID == silent.ID {
			equal(t, "KeptInvitations", i, silent)
		}
	}

	must(t, s.Write(t.Context(), func(tx *store.Tx) error { return tx.RemoveUser(f.User.ID, T0) }))
	n := len(read(t, s, (*store.Tx).KeptLinks)) + len(read(t, s, (*store.Tx).KeptTOTPs)) + len(read(t, s, (*store.Tx).KeptPasskeys)) +
		len(read(t, s, (*store.Tx).KeptTokens)) + len(read(t, s, (*store.Tx).KeptInvitations))
	equal(t, "kept of a user who was removed", n, 0)
}
