package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// LinkIdentity returns web's link key as PEM, which is kept sealed; the first time it is
// made by generate.
func (s *Store) LinkIdentity(ctx context.Context, generate func() ([]byte, error)) (pem []byte, err error) {
	err = s.Write(ctx, func(t *Tx) error {
		if pem, err = t.sealedSetting(settingIdentity); err != nil || pem != nil {
			return err
		}
		if pem, err = generate(); err != nil {
			return err
		}
		return t.sealSetting(settingIdentity, pem)
	})
	return pem, err
}

// LinkKeys returns the link key and what is to become of it.
func (s *Store) LinkKeys(ctx context.Context) (k link.Keys, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		k, err = t.linkKeys()
		return err
	})
	return k, err
}

// NextLinkKey begins the rotation of the link key with a key that generate makes, unless one
// is under way already.
func (s *Store) NextLinkKey(ctx context.Context, generate func() ([]byte, error), e ownline.AuditEntry) error {
	return s.Write(ctx, func(t *Tx) error {
		k, err := t.linkKeys()
		if err != nil || k.Next != nil {
			return err
		}
		pem, err := generate()
		if err != nil {
			return err
		}
		return errors.Join(t.sealSetting(settingNextIdentity, pem), t.SetSetting(settingNextKnown, ""), t.Audit(e))
	})
}

// LinkKeyKnown records that the core with that pin knows the next key, or what hinders it;
// nothing when another key is the next one by now.
func (s *Store) LinkKeyKnown(ctx context.Context, next []byte, core link.Pin, problem string) error {
	return s.Write(ctx, func(t *Tx) error {
		k, err := t.linkKeys()
		if err != nil || !bytes.Equal(k.Next, next) {
			return err
		}
		if was, ok := k.Known[core]; ok && was == problem {
			return nil
		}
		k.Known[core] = problem
		b, err := json.Marshal(k.Known)
		if err != nil {
			return err
		}
		return t.SetSetting(settingNextKnown, string(b))
	})
}

// UseNextLinkKey makes the next key the present one when the cores of all sites know it, or
// whatever they know when forced. It reports whether it did, and the sites whose cores don't
// know.
func (s *Store) UseNextLinkKey(ctx context.Context, force bool, e ownline.AuditEntry) (done bool, ignorant []ownline.Site, err error) {
	err = s.Write(ctx, func(t *Tx) error {
		done, ignorant = false, nil
		k, err := t.linkKeys()
		if err != nil || k.Next == nil {
			return err
		}
		sites, err := t.Sites()
		if err != nil {
			return err
		}
		for _, site := range sites {
			if problem, told := k.Known[link.Pin(site.Pin)]; !told || problem != "" {
				ignorant = append(ignorant, site)
			}
		}
		if len(ignorant) > 0 && !force {
			return nil
		}
		done = true
		return errors.Join(t.SetLinkKey(k.Next), t.Audit(e))
	})
	return done && err == nil, ignorant, err
}

func (t *Tx) linkKeys() (k link.Keys, err error) {
	if k.Present, err = t.sealedSetting(settingIdentity); err != nil {
		return k, err
	}
	if k.Next, err = t.sealedSetting(settingNextIdentity); err != nil {
		return k, err
	}
	k.Known = make(map[link.Pin]string)
	known, err := t.Setting(settingNextKnown)
	if err != nil || known == "" {
		return k, err
	}
	if err := json.Unmarshal([]byte(known), &k.Known); err != nil {
		return k, fmt.Errorf("setting %s: %w", settingNextKnown, err)
	}
	return k, nil
}

// sealedSetting opens a setting that is kept sealed; nil: it was never set.
func (t *Tx) sealedSetting(setting string) ([]byte, error) {
	sealed, err := t.Setting(setting)
	if err != nil || sealed == "" {
		return nil, err
	}
	b, err := t.box()
	if err != nil {
		return nil, err
	}
	return b.openText(sealed, setting)
}

func (t *Tx) sealSetting(setting string, pem []byte) error {
	b, err := t.box()
	if err != nil {
		return err
	}
	return t.SetSetting(setting, b.sealText(pem, setting)) // one of sealedSettings
}
