package sites

import (
	"context"
	"time"
)

// pongLasts is how long an answer of a core does for whoever asks next: everybody may ask, and each
// question has the core tell all that it tells of itself.
const pongLasts = time.Second

// pong is how long a core took to answer when it was last asked.
type pong struct {
	asking chan struct{} // holds one while the core is asked; guards what follows
	at     time.Time     // when it answered; zero: it has not
	took   time.Duration
}

func newPong() pong { return pong{asking: make(chan struct{}, 1)} }

// get returns what is known, or has the core asked, once for all who wait. What failed is not kept.
func (p *pong) get(ctx context.Context, ask func(context.Context) (time.Duration, error)) (time.Duration, error) {
	select {
	case p.asking <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-p.asking }()
	if !p.at.IsZero() && time.Since(p.at) < pongLasts {
		return p.took, nil
	}
	took, err := ask(ctx)
	if err != nil {
		return 0, err
	}
	p.at, p.took = time.Now(), took
	return took, nil
}
