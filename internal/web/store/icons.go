package store

import "github.com/ownline/ownline/internal/ownline"

// Icon returns the picture that was uploaded for a service, and its media type.
func (t *Tx) Icon(s ownline.ServiceID) (content []byte, kind string, err error) {
	_, err = first(t, "icon", s.String(), func(scan scanner) (struct{}, error) {
		return struct{}{}, scan(&content, &kind)
	}, "SELECT content, kind FROM service_icons WHERE service_id = ?", s.String())
	return content, kind, err
}

// SaveIcon keeps the picture of a service in the place of the one before.
func (t *Tx) SaveIcon(s ownline.ServiceID, content []byte, kind string) error {
	return t.exec(`INSERT INTO service_icons (service_id, kind, content) VALUES (?, ?, ?)
		ON CONFLICT (service_id) DO UPDATE SET kind = excluded.kind, content = excluded.content`, s.String(), kind, content)
}
