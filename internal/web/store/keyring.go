package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/ownline/ownline/internal/ownline"
)

// sealedColumn is a column whose values are sealed, each bound to prefix and the key of its
// row. Rotate seals all of them anew, so there is no sealing a column without a line in
// sealedColumns.
type sealedColumn struct{ table, key, column, prefix string }

// The sealed columns.
const (
	deviceSecret = iota
	invitationUnseals
	totpSecret
)

var sealedColumns = [...]sealedColumn{
	deviceSecret:      {table: "devices", key: "id", column: "secret"},
	invitationUnseals: {table: "invitations", key: "id", column: "unseals"},
	totpSecret:        {table: "totp", key: "user_id", column: "secret", prefix: "totp "},
}

// sealedSettings are the settings that are sealed, each bound to its name.
var sealedSettings = []string{settingKeyCheck, settingIdentity, settingNextIdentity, settingBroker}

// keyCheck is what the setting of that name holds: whoever can open it has the right key.
const keyCheck = "ownline"

var errWrongKey = errors.New("the secret key file is not the one that this database was made with: " +
	"put that in its place, or, to go back to a backup that this one belongs to, run `ownline-web restore --force FILE`")

// keyring finds the key that a database is sealed with. The database says which one it is by
// its key check, so that a server takes up a new key in the transaction that needs it.
type keyring struct {
	path string // of the key file; "": fixed is all there is

	mu    sync.Mutex // guards the following
	fixed ownline.Secret
	boxes map[string]*box // by the key check that each opens
}

// pendingKey is where a new key waits beside the old one while the database changes over.
func pendingKey(path string) string { return path + ".new" }

func (k *keyring) box(check string) (*box, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b, ok := k.boxes[check]; ok {
		return b, nil
	}
	candidates := []func() (ownline.Secret, error){func() (ownline.Secret, error) { return k.fixed, nil }}
	if k.path != "" {
		candidates = []func() (ownline.Secret, error){
			func() (ownline.Secret, error) { return readKey(k.path) },
			func() (ownline.Secret, error) { return readKey(pendingKey(k.path)) },
			func() (ownline.Secret, error) { return readKey(k.path) }, // it has just become the one
		}
	}
	var errs []error
	for _, read := range candidates {
		key, err := read()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b, err := newBox(key)
		if err != nil {
			return nil, err
		}
		if _, err := b.openText(check, settingKeyCheck); err == nil {
			k.boxes[check] = b
			return b, nil
		}
	}
	if len(errs) == len(candidates) {
		return nil, errs[0]
	}
	return nil, errWrongKey
}

// first returns the key check of a new database.
func (k *keyring) first() (check string, err error) {
	key := k.fixed
	if k.path != "" {
		if key, err = readKey(k.path); err != nil {
			return "", err
		}
	}
	b, err := newBox(key)
	if err != nil {
		return "", err
	}
	return b.sealText([]byte(keyCheck), settingKeyCheck), nil
}

// box returns what opens the secrets of the state that the transaction sees.
func (t *Tx) box() (*box, error) {
	check, err := t.Setting(settingKeyCheck)
	if err != nil {
		return nil, err
	}
	return t.s.keys.box(check)
}

// seal seals a value of a column of the row with that key.
func (t *Tx) seal(column int, row string, secret []byte) ([]byte, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	return b.seal(secret, sealedColumns[column].prefix+row), nil
}

// unseal opens what seal sealed.
func (t *Tx) unseal(column int, row string, sealed []byte) ([]byte, error) {
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	return b.open(sealed, sealedColumns[column].prefix+row)
}

// checkKey makes sure that the key is the one that the database was made with, and gives a
// new database its epoch.
func (s *Store) checkKey(ctx context.Context) error {
	return s.Write(ctx, func(t *Tx) error {
		check, err := t.Setting(settingKeyCheck)
		if err != nil {
			return err
		}
		if check != "" {
			if _, err := s.keys.box(check); err != nil {
				return err
			}
			return t.settleKey(check)
		}
		if check, err = s.keys.first(); err != nil {
			return err
		}
		if err := t.SetSetting(settingKeyCheck, check); err != nil {
			return err
		}
		return t.NewEpoch()
	})
}

// settleKey puts the new key in the old one's place if the database has changed over to it.
// The write lock is held: nobody else is in the middle of the same.
func (t *Tx) settleKey(check string) error {
	path := t.s.keys.path
	if path == "" {
		return nil
	}
	key, err := readKey(pendingKey(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := newBox(key)
	if err != nil {
		return err
	}
	if _, err := b.openText(check, settingKeyCheck); err != nil {
		return nil // of a rotation that did not get so far; the next one replaces it
	}
	if err := os.Rename(pendingKey(path), path); err != nil {
		return fmt.Errorf("put the new secret key in place: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// Rotate replaces the secret key: every secret is sealed anew in one transaction. The new
// key is on the disk beside the old one before the database changes over, and takes the old
// one's place afterwards; whenever this is cut short, one of the two is the right one, and
// who opens the database next finds out which. Servers that run take it up by themselves,
// those on other machines when the new file is brought there.
func (s *Store) Rotate(ctx context.Context, e ownline.AuditEntry) error {
	path := s.keys.path
	if path == "" {
		return errors.New("this database was opened without a key file")
	}
	err := s.Write(ctx, func(t *Tx) error {
		check, err := t.Setting(settingKeyCheck)
		if err != nil {
			return err
		}
		// Another rotation may have been quicker: its key must not be written over while it
		// is the only one that opens anything.
		if err := t.settleKey(check); err != nil {
			return err
		}
		old, err := s.keys.box(check)
		if err != nil {
			return err
		}
		removeUnfinished(pendingKey(path)) // nobody else is here
		key, content := newKey()
		if err := writeFile(pendingKey(path), content, os.Rename); err != nil {
			return fmt.Errorf("write the new secret key: %w", err)
		}
		fresh, err := newBox(key)
		if err != nil {
			return err
		}
		if err := t.reseal(old, fresh); err != nil {
			return err
		}
		return t.Audit(e)
	})
	if err != nil {
		// The new key stays: should the database have changed over and not been able to say
		// so, it is the right one.
		return fmt.Errorf("rotate the secret key: %w", err)
	}
	return s.checkKey(ctx)
}

func (t *Tx) reseal(old, fresh *box) error {
	for _, name := range sealedSettings {
		v, err := t.Setting(name)
		if err != nil {
			return err
		}
		if v == "" {
			continue
		}
		secret, err := old.openText(v, name)
		if err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
		if err := t.SetSetting(name, fresh.sealText(secret, name)); err != nil {
			return err
		}
	}
	type row struct {
		key    string
		sealed []byte
	}
	for _, c := range sealedColumns {
		rows, err := all(t, func(scan scanner) (r row, err error) {
			err = scan(&r.key, &r.sealed)
			return r, err
		}, "SELECT "+c.key+", "+c.column+" FROM "+c.table)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if len(r.sealed) == 0 {
				continue
			}
			secret, err := old.open(r.sealed, c.prefix+r.key)
			if err != nil {
				return fmt.Errorf("%s %s: %w", c.table, r.key, err)
			}
			if err := t.exec("UPDATE "+c.table+" SET "+c.column+" = ? WHERE "+c.key+" = ?", fresh.seal(secret, c.prefix+r.key), r.key); err != nil {
				return err
			}
		}
	}
	return nil
}
