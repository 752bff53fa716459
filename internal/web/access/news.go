package access

import (
	"context"
	"errors"

	"github.com/ownline/ownline/internal/ownline"
)

// report tells the reporter what was committed.
func (a *Access) report(news []ownline.News) {
	if a.reporter == nil {
		return
	}
	for _, n := range news {
		a.reporter.Report(n)
	}
}

// tell adds to the news of this change.
func (c *change) tell(n ownline.News) {
	n.At = c.now
	if by := c.by(); by != n.User {
		n.By = by
	}
	c.news = append(c.news, n)
}

// by names who makes the change; "": nobody but web itself, or a device.
func (c *change) by() string {
	switch c.actor.By {
	case ByCommand:
		return "a command"
	case ByLogin, ByToken:
		return c.actor.User.Name
	case ByInvitation:
		return "a guest"
	}
	return ""
}

func (c *change) reportSession(kind ownline.NewsKind, s ownline.SessionInfo) {
	c.tell(ownline.News{
		Kind: kind, User: s.UserName, Service: s.ServiceName, Site: s.SiteName, Device: s.DeviceName, DeviceID: s.Device,
		Source: s.Source, Until: s.Expires, Session: s.ID,
	})
}

// sessionOver tells that a session has ended. One that was replaced is no news: its device
// has moved, and the session that took its place is.
func (c *change) sessionOver(s ownline.SessionInfo) {
	kind, detail := ownline.SessionEnded, string(s.Reason)
	switch s.Reason {
	case ownline.Replaced:
		return
	case ownline.Failed:
		kind, detail = ownline.SessionFailed, s.Detail
	}
	c.reportSession(kind, s)
	c.news[len(c.news)-1].Detail = detail
}

// reportDevice tells what was done to a device.
func (c *change) reportDevice(action string, d ownline.Device) error {
	n := ownline.News{Kind: ownline.DeviceEnrolled, Device: d.Name, DeviceID: d.ID}
	switch action {
	case "device.add":
	case "device.rotate":
		n.Detail = "it got a new key"
	case "device.revoke":
		n.Kind = ownline.DeviceRevoked
	case "device.remove":
		if d.Revoked {
			return nil // that was told when it was revoked
		}
		n.Kind, n.Detail = ownline.DeviceRevoked, "it was removed"
	default:
		return nil
	}
	u, err := c.User(d.User)
	if err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return err
	}
	s, err := c.AnySite(d.Site)
	if err != nil && !errors.Is(err, ownline.ErrNotFound) {
		return err
	}
	n.User, n.Site = u.Name, s.Name
	c.tell(n)
	return nil
}

// SitesReached lists all sites with how they are reached.
func (a *Access) SitesReached(ctx context.Context) ([]ownline.SiteInfo, error) {
	return a.Sites(ctx, System())
}

// ChannelChanged takes note that a channel for notifications begins to fail, or works again.
func (a *Access) ChannelChanged(ctx context.Context, ch ownline.ChannelInfo) error {
	_, err := a.change(ctx, System(), func(c *change) error {
		c.publish(Event{Kind: EventChannel, Resource: ch})
		if ch.Failing {
			return c.audit("notify.fail", ch.Name, ownline.SiteID{}, ch.Error)
		}
		return c.audit("notify.recover", ch.Name, ownline.SiteID{}, "")
	})
	return err
}
