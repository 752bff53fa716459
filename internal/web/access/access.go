package access

import (
	"context"
	"log/slog"
	"time"

	"github.com/ownline/ownline/internal/policy"
)

// Options are what an Access is made of.
type Options struct {
	Store     Store
	Enforcer  Enforcer
	Passwords Passwords
	Limits    policy.Limits
	Overlap   time.Duration // that a session outlives its device's move to a new address; 0: 60 s
	Log       *slog.Logger
}

// Passwords turns a password into what is kept of it.
type Passwords interface {
	// Hash returns the argon2id hash of a password, or an error about the field "password"
	// when it is too weak to be kept.
	Hash(password string) (string, error)
}

// Access is the use cases. Safe for concurrent use.
type Access struct {
	store     Store
	enforcer  Enforcer
	passwords Passwords
	limits    policy.Limits
	overlap   time.Duration
	log       *slog.Logger
}

// New makes the use cases; it starts nothing.
func New(o Options) *Access {
	if o.Overlap == 0 {
		o.Overlap = time.Minute
	}
	return &Access{
		store: o.Store, enforcer: o.Enforcer, passwords: o.Passwords, limits: o.Limits,
		overlap: o.Overlap, log: o.Log,
	}
}

// Run ends sessions when they are due and forgets what is no longer needed, until ctx ends.
func (a *Access) Run(ctx context.Context) error { return errUnfinished }
