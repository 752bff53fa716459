package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"github.com/ownline/ownline/internal/ownline"
)

// Setting returns a setting, "" when it was never set.
func (t *Tx) Setting(key string) (v string, err error) {
	err = t.one("SELECT value FROM settings WHERE key = ?", []any{key}, &v)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return v, err
}

// SetSetting keeps a setting; "" forgets it.
func (t *Tx) SetSetting(key, value string) error {
	if value == "" {
		return t.exec("DELETE FROM settings WHERE key = ?", key)
	}
	return t.exec("INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
}

// Epoch names the run of revisions that the database is in.
func (t *Tx) Epoch() (string, error) { return t.Setting(settingEpoch) }

// NewEpoch starts another: no revision of the one before counts any more.
func (t *Tx) NewEpoch() error { return t.SetSetting(settingEpoch, newEpoch()) }

// CountChange counts a change that readers of events are to learn of, in whatever process
// they are, and returns the count with it.
func (t *Tx) CountChange() (int64, error) { return t.count(settingChanges) }

// Changes returns the count of CountChange, 0 before the first.
func (t *Tx) Changes() (int64, error) { return t.counted(settingChanges) }

// count adds one to a setting, and returns it.
func (t *Tx) count(key string) (n int64, err error) {
	err = t.one(`INSERT INTO settings (key, value) VALUES (?, '1')
		ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT) RETURNING CAST(value AS BIGINT)`,
		[]any{key}, &n)
	return n, err
}

// counted returns what count has made of a setting, 0 before the first time.
func (t *Tx) counted(key string) (int64, error) {
	v, err := t.Setting(key)
	if err != nil || v == "" {
		return 0, err
	}
	return strconv.ParseInt(v, 10, 64)
}

// countEnded counts that logins or tokens were ended, for LoginsEnded.
func (t *Tx) countEnded() error {
	_, err := t.count(settingEnded)
	return err
}

// LoginsEnded returns how often logins or tokens have been ended, by whatever process: another number
// than before says that some are not good any more.
func (s *Store) LoginsEnded(ctx context.Context) (n int64, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		n, err = t.counted(settingEnded)
		return err
	})
	return n, err
}

// Audit adds a line to the audit log.
func (t *Tx) Audit(e ownline.AuditEntry) error {
	return t.exec("INSERT INTO audit (at, actor, how, client, action, subject, site, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		ms(e.At), idText(e.Actor), e.By, addrText(e.Client), e.Action, e.Subject, idText(e.Site), e.Detail)
}

// Setting returns a setting, "" when it was never set.
func (s *Store) Setting(ctx context.Context, key string) (v string, err error) {
	err = s.Read(ctx, func(t *Tx) error {
		v, err = t.Setting(key)
		return err
	})
	return v, err
}

// SetSetting keeps a setting; "" forgets it.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.Write(ctx, func(t *Tx) error { return t.SetSetting(key, value) })
}

// Audit adds a line to the audit log.
func (s *Store) Audit(ctx context.Context, e ownline.AuditEntry) error {
	return s.Write(ctx, func(t *Tx) error { return t.Audit(e) })
}
