package firewalld

import (
	"context"
	"errors"
)

// Runs reports whether firewalld runs.
func Runs(ctx context.Context, cfg Config) bool {
	b := bus{address: cfg.Bus}
	defer b.close()
	runs, err := b.runs(ctx)
	return err == nil && runs
}

// Left reports whether firewalld knows the policy of an earlier Driver.
func Left(ctx context.Context, cfg Config) bool {
	b := bus{address: cfg.Bus}
	defer b.close()
	if runs, err := b.runs(ctx); err != nil || !runs {
		return false
	}
	applies, h, err := b.settings(ctx)
	if err == nil && (applies || len(h.rules) > 0) {
		return true
	}
	_, err = b.permanent(ctx)
	return err == nil
}

// Remove takes away the policy of an earlier Driver, and all its rules, without a reload, which would lose what
// others have not made permanent: until the next one firewalld knows a policy of that name which applies to nothing. Do it while the Driver's table still says
// what may pass. Where firewalld does not run, its rules are gone.
func Remove(ctx context.Context, cfg Config) error {
	b := bus{address: cfg.Bus}
	defer b.close()
	if runs, err := b.runs(ctx); err != nil || !runs {
		return nil //nolint:nilerr // without a bus there is no firewalld
	}
	_, h, err := b.settings(ctx)
	if err == nil {
		if err = b.write(ctx, h, nil); err == nil {
			err = b.apply(ctx, []string{})
		}
		if err == nil {
			err = b.undispatch(ctx)
		}
	}
	if err != nil && !errors.Is(err, errNoPolicy) {
		return err
	}
	path, err := b.permanent(ctx)
	if errors.Is(err, errNoPolicy) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.forget(ctx, path)
}
