package notify

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/ownline/ownline/internal/ownline"
)

// sender sends messages to one service. It returns when ctx ends.
type sender interface {
	send(ctx context.Context, m message) error
}

// examples says where URLs are explained.
const examples = "docs/how/notifications.md has examples"

// newSender makes the sender of a URL, and tells the kind of service. No error shows any of
// the URL but its scheme.
func newSender(key, raw string) (kind string, s sender, err error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" {
		return "", nil, ownline.Invalid(key, "is not a URL that begins with the kind of service, like ntfy://; "+examples)
	}
	kind, _, _ = strings.Cut(u.Scheme, "+")
	switch kind {
	case "telegram":
		s, err = newTelegram(key, u)
	case "syslog":
		s, err = newSyslog(key, u)
	default:
		s, err = newLibrary(key, kind, raw, u)
	}
	return kind, s, err
}

// library sends by the notification library.
type library struct {
	url, kind string
	underway  chan struct{} // holds one for each message that is being sent
}

// hanging is how many messages may be underway by one channel: the library takes no
// context, so one that hangs is left to hang, for as long as its connection lives.
const hanging = 4

func newLibrary(key, kind, raw string, u *url.URL) (*library, error) {
	var r router.ServiceRouter
	known := r.ListServices()
	known = slices.DeleteFunc(known, func(k string) bool { return k == "logger" || k == "telegram" })
	if !slices.Contains(known, kind) {
		known = append(known, "syslog", "telegram")
		slices.Sort(known)
		return nil, ownline.Invalid(key, fmt.Sprintf("%q is no kind of service; known are %s; %s", kind, strings.Join(known, ", "), examples))
	}
	wrong := ownline.Invalid(key, "is not a URL as the service "+kind+" takes it; "+examples)
	if kind == "matrix" { // signs in as soon as it is made
		if _, secret := u.User.Password(); u.Host == "" || !secret {
			return nil, wrong
		}
	} else if _, err := r.Locate(raw); err != nil {
		return nil, wrong
	}
	return &library{url: raw, kind: kind, underway: make(chan struct{}, hanging)}, nil
}

func (l *library) send(ctx context.Context, m message) error {
	select {
	case l.underway <- struct{}{}:
	default:
		return &failure{text: "earlier messages still hang at the service"}
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if recover() != nil {
				done <- &failure{text: "the library can't send this message", permanent: true}
			}
			<-l.underway
		}()
		done <- l.sendNow(m)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendNow takes the service afresh every time: they are not made for concurrent use, and one
// may still be hanging.
func (l *library) sendNow(m message) error {
	var r router.ServiceRouter
	service, err := r.Locate(l.url)
	if err != nil {
		return err
	}
	params := types.Params{}
	if l.kind == "smtp" {
		params["subject"] = m.subject()
	}
	return service.Send(m.text(), &params)
}
