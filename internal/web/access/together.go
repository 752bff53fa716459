package access

import "context"

// Together runs f with a context under which every use case joins one transaction: all or
// nothing. Events are published and cores are told once it is committed. After an error of
// a use case f must return one; what it returns undoes all.
func (a *Access) Together(ctx context.Context, actor Actor, f func(ctx context.Context) error) error {
	return a.changeAndEnforce(ctx, actor, func(c *change) error {
		return f(context.WithValue(ctx, togetherKey{}, c))
	})
}

type togetherKey struct{}

// joined returns the transaction that a context belongs to, nil when it is on its own.
func joined(ctx context.Context) *change {
	c, _ := ctx.Value(togetherKey{}).(*change)
	return c
}

// joining is a store whose transactions join the one that their context belongs to.
type joining struct{ Store }

func (j joining) Read(ctx context.Context, f func(Tx) error) error {
	if c := joined(ctx); c != nil {
		return f(c.Tx)
	}
	return j.Store.Read(ctx, f)
}
