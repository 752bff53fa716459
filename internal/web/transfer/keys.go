package transfer

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

func text64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// keys writes down what lets people in beside passwords.
func (d *Document) keys(e access.Everything, n names) {
	d.Links, d.SecondFactors, d.Passkeys, d.Tokens, d.Invitations = []Link{}, []SecondFactor{}, []Passkey{}, []Token{}, []Invitation{}
	for _, l := range e.Links {
		d.Links = append(d.Links, Link{User: n.user[l.User], Issuer: l.Issuer, Subject: l.Subject, Created: l.Created})
	}
	for _, f := range e.TOTPs {
		w := SecondFactor{User: n.user[f.User], Secret: text64(f.Secret), LastStep: uint64(max(f.LastStep, 0)), Created: f.Created}
		for _, c := range f.Codes {
			w.RecoveryCodes = append(w.RecoveryCodes, text64(c))
		}
		slices.Sort(w.RecoveryCodes)
		d.SecondFactors = append(d.SecondFactors, w)
	}
	for _, p := range e.Passkeys {
		d.Passkeys = append(d.Passkeys, Passkey{
			Name: p.Name, User: n.user[p.User], ID: p.ID, Credential: text64(p.Credential), Data: text64(p.Data), Cloned: p.Cloned,
			Created: p.Created, LastUsed: p.LastUsed,
		})
	}
	for _, t := range e.Tokens {
		d.Tokens = append(d.Tokens, Token{
			Name: t.Name, User: n.user[t.User], ID: t.ID, Scopes: t.Scopes, Hash: text64(t.Hash), Created: t.Created, Expires: t.Expires, LastUsed: t.LastUsed,
		})
	}
	for _, i := range e.Invitations {
		d.Invitations = append(d.Invitations, Invitation{
			User: n.user[i.User], Service: n.service[i.Service], ID: i.ID, Message: i.Message, Duration: i.For, Uses: i.Uses, Used: i.Used,
			Countries: i.Countries, Hash: text64(i.Hash), Unseals: text64(i.Unseals), Created: i.Created, Expires: i.Expires, Revoked: i.Revoked,
		})
	}
	slices.SortFunc(d.Links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.Subject, b.Subject))
	})
	slices.SortFunc(d.SecondFactors, func(a, b SecondFactor) int { return cmp.Compare(a.User, b.User) })
}

// bytes64 reads base64; it must be there.
func (p *planner) bytes64(path, key, value string) ([]byte, bool) {
	if p.missing(path, key, value) {
		return nil, false
	}
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		p.fail(path+"."+key, "is not base64")
	}
	return b, err == nil
}

// planKeys adds what lets people in and is not there. What is there stays as it is: the
// newest code that counted, say, must not count again.
func (p *planner) planKeys() {
	p.planLinks()
	p.planSecondFactors()
	p.planPasskeys()
	p.planTokens()
	p.planInvitations()
}

func (p *planner) planLinks() {
	there := map[[2]string]ownline.UserID{}
	for _, l := range p.have.Links {
		there[[2]string{l.Issuer, l.Subject}] = l.User
	}
	for i, w := range p.file.Links {
		path := fmt.Sprintf("links[%d]", i)
		user, ok := p.userOf(path, w.User)
		if p.missing(path, "issuer", w.Issuer) || p.missing(path, "subject", w.Subject) || !ok {
			continue
		}
		who := [2]string{w.Issuer, w.Subject}
		if has, ok := there[who]; ok {
			if has != user {
				p.fail(path+".subject", "is another user here, or given twice")
			}
			continue
		}
		there[who] = user
		l := ownline.KeptLink{User: user, Issuer: w.Issuer, Subject: w.Subject, Created: w.Created}
		p.added("link", w.User+" "+w.Issuer, path, nil, func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RestoreLink(ctx, actor, l)
		})
	}
}

func (p *planner) planSecondFactors() {
	there, met := map[ownline.UserID]string{}, map[ownline.UserID]bool{}
	for _, f := range p.have.TOTPs {
		there[f.User] = string(f.Secret)
	}
	for i, w := range p.file.SecondFactors {
		path := fmt.Sprintf("second_factors[%d]", i)
		user, uok := p.userOf(path, w.User)
		secret, sok := p.bytes64(path, "secret", w.Secret)
		f := ownline.KeptTOTP{User: user, TOTP: ownline.TOTP{Secret: secret, Confirmed: true, LastStep: int64(w.LastStep), Created: w.Created}}
		for j, c := range w.RecoveryCodes {
			code, err := base64.StdEncoding.DecodeString(c)
			if err != nil {
				p.fail(fmt.Sprintf("%s.recovery_codes[%d]", path, j), "is not base64")
				uok = false
			}
			f.Codes = append(f.Codes, code)
		}
		if !uok || !sok {
			continue
		}
		if met[user] {
			p.fail(path, w.User+" is given twice")
			continue
		}
		met[user] = true
		if has, ok := there[user]; ok {
			if has != string(secret) {
				p.note("user %s keeps the second factor that they have here", w.User)
			}
			continue
		}
		p.added("second_factor", w.User, path, hiddenFields("secret"), func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RestoreTOTP(ctx, actor, f)
		})
	}
}

// ids finds what a section has that the database has not.
type ids[T any] map[ownline.ID[T]]bool

// isNew reports whether an item is to be added; without an id it can't be told.
func (m ids[T]) isNew(p *planner, path string, id ownline.ID[T]) bool {
	if id.IsZero() {
		p.fail(path+".id", "is missing")
		return false
	}
	if m[id] {
		return false
	}
	m[id] = true
	return true
}

func (p *planner) planPasskeys() {
	there := ids[ownline.Passkey]{}
	for _, k := range p.have.Passkeys {
		there[k.ID] = true
	}
	for i, w := range p.file.Passkeys {
		path := fmt.Sprintf("passkeys[%d]", i)
		user, uok := p.userOf(path, w.User)
		credential, cok := p.bytes64(path, "credential", w.Credential)
		data, dok := p.bytes64(path, "data", w.Data)
		if !uok || !cok || !dok || !there.isNew(p, path, w.ID) {
			continue
		}
		k := ownline.Passkey{ID: w.ID, User: user, Name: w.Name, Credential: credential, Data: data, Cloned: w.Cloned, Created: w.Created, LastUsed: w.LastUsed}
		p.added("passkey", w.User+"/"+w.Name, path, nil, func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RestorePasskey(ctx, actor, k)
		})
	}
}

func (p *planner) planTokens() {
	there := ids[ownline.Token]{}
	for _, k := range p.have.Tokens {
		there[k.ID] = !p.signedOut[k.User]
	}
	for i, w := range p.file.Tokens {
		path := fmt.Sprintf("tokens[%d]", i)
		user, uok := p.userOf(path, w.User)
		hash, hok := p.bytes64(path, "hash", w.Hash)
		if !uok || !hok || !there.isNew(p, path, w.ID) {
			continue
		}
		k := ownline.KeptToken{Hash: hash, Token: ownline.Token{
			ID: w.ID, User: user, Name: w.Name, Scopes: w.Scopes, Created: w.Created, Expires: w.Expires, LastUsed: w.LastUsed,
		}}
		p.added("token", w.User+"/"+w.Name, path, hiddenFields("hash"), func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RestoreToken(ctx, actor, k)
		})
	}
}

func (p *planner) planInvitations() {
	there := ids[ownline.Invitation]{}
	for _, i := range p.have.Invitations {
		there[i.ID] = true
	}
	for i, w := range p.file.Invitations {
		path := fmt.Sprintf("invitations[%d]", i)
		user, uok := p.userOf(path, w.User)
		service, full, sok := p.serviceOf(path, w.Service)
		hash, hok := p.bytes64(path, "hash", w.Hash)
		var unseals []byte
		if w.Unseals != "" {
			var ok bool
			unseals, ok = p.bytes64(path, "unseals", w.Unseals)
			hok = hok && ok
		}
		if !uok || !sok || !hok || !there.isNew(p, path, w.ID) {
			continue
		}
		k := ownline.KeptInvitation{Hash: hash, Unseals: unseals, Invitation: ownline.Invitation{
			ID: w.ID, User: user, Service: service, Message: w.Message, For: w.Duration, Uses: w.Uses, Used: w.Used, Countries: w.Countries,
			Created: w.Created, Expires: w.Expires, Revoked: w.Revoked,
		}}
		f := hiddenFields("hash")
		f.add("expires", "", w.Expires.UTC().Format(time.RFC3339))
		p.added("invitation", w.User+" "+full, path, f, func(ctx context.Context, a *access.Access, actor access.Actor) error {
			return a.RestoreInvitation(ctx, actor, k)
		})
	}
}
