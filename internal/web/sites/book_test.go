package sites

import (
	"testing"
	"time"

	"github.com/ownline/ownline/internal/link"
	"github.com/ownline/ownline/internal/ownline"
)

// When the whole state is due: exactly when a revision is neither applied nor on its way.
func TestDue(t *testing.T) {
	t0 := time.Now()
	at := func(rev uint64) link.Revision { return link.Revision{Epoch: "e", Revision: rev} }
	for name, tc := range map[string]struct {
		steps   func(*book)
		send    bool // at once
		later   bool // after the grace
		applied uint64
	}{
		"never applied":          {func(*book) {}, true, true, 0},
		"applied":                {func(b *book) { b.stated(at(3), nil) }, false, false, 3},
		"a command on its way":   {func(b *book) { b.stated(at(3), nil); b.begin(4) }, false, false, 3},
		"a command applied":      {func(b *book) { b.stated(at(3), nil); b.begin(4)(true) }, false, false, 4},
		"a command failed":       {func(b *book) { b.stated(at(3), nil); b.begin(4)(false) }, true, true, 3},
		"nobody's revision":      {func(b *book) { b.stated(at(3), nil); b.wanted = 4 }, false, true, 3},
		"a gap below a command":  {func(b *book) { b.stated(at(3), nil); b.begin(5)(true) }, false, true, 3},
		"the gap is on its way":  {func(b *book) { b.stated(at(3), nil); b.begin(5)(true); b.begin(4) }, false, false, 3},
		"the gap is filled":      {func(b *book) { b.stated(at(3), nil); b.begin(5)(true); b.begin(4)(true) }, false, false, 5},
		"two of one revision":    {func(b *book) { b.stated(at(3), nil); b.begin(4); b.begin(4)(true) }, false, false, 4},
		"a state overtook":       {func(b *book) { b.stated(at(3), nil); end := b.begin(4); b.stated(at(6), nil); end(false) }, false, false, 6},
		"a state closes the gap": {func(b *book) { b.stated(at(3), nil); b.begin(5)(true); b.stated(at(4), nil) }, false, false, 5},
		"the link was lost":      {func(b *book) { b.stated(at(3), nil); b.lost("x") }, true, true, 3},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBook()
			tc.steps(b)
			if b.applied != tc.applied {
				t.Errorf("applied %d, want %d", b.applied, tc.applied)
			}
			resend := b.resend
			if send, _, _ := b.due(t0); send != tc.send {
				t.Errorf("due at once: %t, want %t", send, tc.send)
			}
			b.resend = resend // what due has taken
			if send, _, _ := b.due(t0.Add(grace)); send != tc.later {
				t.Errorf("due after the grace: %t, want %t", send, tc.later)
			}
		})
	}
	b := newBook()
	id := ownline.NewID[ownline.Session]()
	b.stated(at(1), []link.Result{{ID: id, Problem: link.ProblemOf(ownline.Conflict("public_port", "no"))}})
	if b.refused[id].Err() == nil {
		t.Error("a refusal was forgotten")
	}
}
