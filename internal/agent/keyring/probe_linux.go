package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const (
	busName    = "org.freedesktop.secrets"
	root       = dbus.ObjectPath("/org/freedesktop/secrets")
	collection = dbus.ObjectPath("/org/freedesktop/secrets/aliases/default")
)

// probe finds out whether there is a Secret Service, without starting a bus for it, and
// whether it is unlocked when it has to be.
func probe(unlocked bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	// The end of the context closes the connection.
	conn, err := dbus.SessionBusPrivateNoAutoStartup(dbus.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("there is no session bus (%w)", err)
	}
	defer conn.Close()
	if err := conn.Auth(nil); err != nil {
		return fmt.Errorf("session bus: %w", lateOr(ctx, err))
	}
	if err := conn.Hello(); err != nil {
		return fmt.Errorf("session bus: %w", lateOr(ctx, err))
	}
	// A property that every Secret Service has: to ask for it starts one that is asleep.
	call := conn.Object(busName, root).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.Secret.Service", "Collections")
	if call.Err != nil {
		return fmt.Errorf("there is no Secret Service: %w", lateOr(ctx, call.Err))
	}
	if !unlocked {
		return nil
	}
	var locked dbus.Variant
	call = conn.Object(busName, collection).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.Secret.Collection", "Locked")
	if err := call.Store(&locked); err != nil {
		return fmt.Errorf("there is no keyring in the Secret Service: %w", lateOr(ctx, err))
	}
	if is, ok := locked.Value().(bool); !ok || is {
		return errors.New("it is locked")
	}
	return nil
}

// lateOr tells that time is up rather than what the closed connection says of itself.
func lateOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errUnanswered
	}
	return err
}
