package access

import (
	"context"

	"github.com/ownline/ownline/internal/ownline"
)

// Audit lists lines of the audit log (admin), newest first, and the cursor of the next page.
func (a *Access) Audit(ctx context.Context, actor Actor, q ownline.AuditQuery) (lines []ownline.AuditLine, next string, err error) {
	if err := actor.MustAdmin(ownline.ScopeRead); err != nil {
		return nil, "", err
	}
	err = a.store.Read(ctx, func(tx Tx) (err error) {
		lines, next, err = tx.AuditLines(q)
		return err
	})
	return lines, next, err
}
