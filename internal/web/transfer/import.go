package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/ownline/ownline/internal/ownline"
	"github.com/ownline/ownline/internal/web/access"
)

// Options say how to import.
type Options struct {
	Prune  bool // remove what the file's sections do not hold
	DryRun bool // find out what would change, and every mistake, and change nothing
}

// Result is what an import changed, or would.
type Result struct {
	Changes []Change `json:"changes"`
	History int      `json:"history"` // sessions that history did not have
	Notes   []string `json:"notes"`   // what is left for people to do
	Applied bool     `json:"applied"`
}

var errDryRun = errors.New("nothing was to be changed")

// Import makes a database what a file says, all or nothing. An error names the place in the
// file.
func Import(ctx context.Context, a *access.Access, actor access.Actor, f File, o Options) (Result, error) {
	r := Result{Changes: []Change{}, Notes: []string{}}
	err := a.Together(ctx, actor, func(ctx context.Context) error {
		r.Changes, r.Notes = r.Changes[:0], r.Notes[:0] // it may be tried again
		have, err := a.Export(ctx, actor, true, false)
		if err != nil {
			return err
		}
		changes, notes, err := plan(have, f, o.Prune)
		if err != nil {
			return err
		}
		r.Changes, r.Notes = append(r.Changes, changes...), append(r.Notes, notes...)
		for _, c := range changes {
			if err := c.apply(ctx, a, actor); err != nil {
				return f.about(c, err)
			}
		}
		var history []ownline.SessionInfo
		for _, s := range f.History {
			history = append(history, s.info())
		}
		if r.History, err = a.RestoreHistory(ctx, actor, history); err != nil {
			return err
		}
		if len(changes) > 0 {
			if err := a.Imported(ctx, actor, fmt.Sprintf("%d changes", len(changes))); err != nil {
				return err
			}
		}
		if o.DryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return r, nil
	}
	if err != nil {
		return Result{}, err
	}
	r.Applied = true
	return r, nil
}

// about names the place in the file that an error of a use case is about.
func (f File) about(c Change, err error) error {
	fe, ok := errors.AsType[*ownline.FieldError](err)
	if !ok {
		return fmt.Errorf("%s %s: %w", c.Kind, c.Name, err)
	}
	if c.path == "" {
		return fmt.Errorf("%s %s can't be removed: %w", c.Kind, c.Name, err)
	}
	key := c.path
	switch fe.Field {
	case "", c.path:
	case "code":
		key += ".pin"
	default:
		key += "." + fe.Field
	}
	return &ownline.FieldError{Kind: fe.Kind, Detail: fmt.Sprintf("%s: %s: %s", f.place(key), key, fe.Detail)}
}

var reasons = map[string]bool{"expired": true, "closed": true, "replaced": true, "revoked": true, "failed": true, "flushed": true}

// checkHistory refuses what could not be a session that is over.
func (p *planner) checkHistory() {
	for i, s := range p.file.History {
		path := fmt.Sprintf("history[%d]", i)
		switch {
		case s.ID.IsZero(), s.UserID.IsZero(), s.ServiceID.IsZero(), s.SiteID.IsZero():
			p.fail(path, "needs id, user_id, service_id and site_id, as an export has them")
		case s.Transport != string(ownline.TCP) && s.Transport != string(ownline.UDP):
			p.fail(path+".transport", `must be "tcp" or "udp"`)
		case !s.Source.IsValid() || !s.Target.IsValid() && s.Kind != string(ownline.Proxy):
			p.fail(path, "needs source and target")
		case !reasons[s.Reason]:
			p.fail(path+".reason", "is not a reason why sessions end")
		case s.Opened.IsZero() || s.Ended.IsZero() || s.Expires.IsZero():
			p.fail(path, "needs opened, expires and ended")
		case s.UpBytes>>63|s.UpPackets>>63|s.DownBytes>>63|s.DownPackets>>63 != 0:
			p.fail(path, "counts more than there can be")
		}
	}
}
