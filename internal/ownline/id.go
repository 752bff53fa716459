package ownline

import (
	"fmt"

	"github.com/google/uuid"
)

// ID identifies one thing of kind T. It is 16 bytes, written as a UUID (RFC 9562); new
// ones are version 7, so that they sort by the time they were made. The zero ID names
// nothing. The type parameter keeps a service's ID from being passed for a device's.
type ID[T any] [16]byte

// The identifiers of the nouns of this package.
type (
	UserID       = ID[User]
	ServiceID    = ID[Service]
	GrantID      = ID[Grant]
	DeviceID     = ID[Device]
	SessionID    = ID[Session]
	SiteID       = ID[Site]
	TokenID      = ID[Token]
	LoginID      = ID[Login]
	AttemptID    = ID[LoginAttempt]
	InvitationID = ID[Invitation]
	PasskeyID    = ID[Passkey]
)

// NewID makes an identifier that was never used before. It panics when the system has no
// randomness, as crypto/rand does.
func NewID[T any]() ID[T] {
	return ID[T](uuid.Must(uuid.NewV7()))
}

// ParseID reads the 36-character form that String writes. No other form is taken.
func ParseID[T any](s string) (ID[T], error) {
	u, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return ID[T]{}, Invalid("id", fmt.Sprintf("%q is not an identifier", s))
	}
	return ID[T](u), nil
}

// String returns the identifier as 36 characters of lower-case hexadecimal and hyphens.
func (id ID[T]) String() string { return uuid.UUID(id).String() }

// IsZero reports whether the identifier names nothing.
func (id ID[T]) IsZero() bool { return id == ID[T]{} }

// MarshalText writes String; the zero identifier becomes empty text.
func (id ID[T]) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (id *ID[T]) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*id = ID[T]{}
		return nil
	}
	p, err := ParseID[T](string(b))
	if err != nil {
		return err
	}
	*id = p
	return nil
}
