package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ownline/ownline/internal/ownline"
)

// keptCertificate is an ownline.BrokerCertificate whose key can be written.
type keptCertificate struct {
	ownline.BrokerCertificate
	Key []byte
}

// BrokerCertificate returns the certificate of the broker inside web.
func (t *Tx) BrokerCertificate() (c ownline.BrokerCertificate, err error) {
	b, err := t.sealedSetting(settingBroker)
	if err != nil || b == nil {
		return c, err
	}
	var k keptCertificate
	if err := json.Unmarshal(b, &k); err != nil {
		return c, fmt.Errorf("setting %s: %w", settingBroker, err)
	}
	c = k.BrokerCertificate
	c.Key = k.Key
	return c, nil
}

// BrokerCertificate returns the certificate of the broker inside web.
func (s *Store) BrokerCertificate(ctx context.Context) (c ownline.BrokerCertificate, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		c, err = t.BrokerCertificate()
		return err
	})
	return c, err
}

// ChangeBrokerCertificate hands the certificate to change, as nobody else changes it meanwhile, and
// keeps it if that returns true. change may be called more than once.
func (s *Store) ChangeBrokerCertificate(ctx context.Context, change func(*ownline.BrokerCertificate) bool) error {
	return s.Write(ctx, func(t *Tx) error {
		c, err := t.BrokerCertificate()
		if err != nil || !change(&c) {
			return err
		}
		b, err := json.Marshal(keptCertificate{c, c.Key})
		if err != nil {
			return err
		}
		return t.sealSetting(settingBroker, b)
	})
}
