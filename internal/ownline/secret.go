package ownline

import "log/slog"

// Secret holds key material. Printing, logging or marshalling one shows "[secret]", never
// the bytes; convert it to []byte to use it.
type Secret []byte

const redacted = "[secret]"

// String returns "[secret]".
func (Secret) String() string { return redacted }

// GoString returns "[secret]", for %#v.
func (Secret) GoString() string { return redacted }

// LogValue returns "[secret]", for log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[secret]", so that no encoder writes the bytes by accident.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
