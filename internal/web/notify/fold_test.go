package notify

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ownline/ownline/internal/ownline"
)

// mailbox is a sender that takes, refuses or hangs.
type mailbox struct {
	mu    sync.Mutex
	got   []string
	at    []time.Time
	fails []error // the next tries
	hangs bool
}

func (b *mailbox) send(ctx context.Context, m message) error {
	b.mu.Lock()
	hangs := b.hangs
	if len(b.fails) > 0 {
		err := b.fails[0]
		b.fails = b.fails[1:]
		b.at = append(b.at, time.Now())
		b.mu.Unlock()
		return err
	}
	b.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, m.text())
	b.at = append(b.at, time.Now())
	return nil
}

// take returns the first lines of what has arrived since.
func (b *mailbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, text := range b.got {
		first, _, _ := strings.Cut(text, "\n")
		out = append(out, first)
	}
	b.got = nil
	return out
}

func (b *mailbox) whole() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() { b.got = nil }()
	return strings.Join(b.got, "\n--\n")
}

// boxed is a Notify with one channel, to a mailbox.
func boxed(t *testing.T, o Options, events ...string) (*Notify, *mailbox) {
	t.Helper()
	n := made(t, o, Channel{URL: ownline.Secret("telegram://1:" + secret + "@telegram?chats=42"), Events: events})
	box := &mailbox{}
	n.channels[0].sender = box
	return n, box
}

func expect(t *testing.T, step string, box *mailbox, want ...string) {
	t.Helper()
	synctest.Wait()
	got := box.take()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %q, want %q", step, got, want)
	}
}

// What happens together is one message; what follows within the window is another one; and
// after a quiet window the first is told at once again.
func TestFolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := boxed(t, Options{})
		defer running(t, n, &desk{})()
		n.Report(opened("ana", "ssh"))
		time.Sleep(gather - time.Millisecond)
		expect(t, "before it is gathered", box)
		time.Sleep(time.Millisecond)
		expect(t, "one", box, "ana opened ssh at home from 198.51.100.7, until "+clock(time.Now().Add(30*time.Minute-gather)))

		for i := range 12 {
			n.Report(opened("bob", fmt.Sprintf("s%d", i)))
			time.Sleep(time.Second)
		}
		n.Report(ownline.News{Kind: ownline.SiteDown, Site: "home"}) // another kind
		time.Sleep(gather)
		expect(t, "another kind does not wait", box, "The site home can't be reached")
		time.Sleep(foldDefault)
		synctest.Wait()
		text := box.whole()
		lines := strings.Split(text, "\n")
		if lines[0] != "12 sessions opened:" || len(lines) != 1+listed+2 || lines[1+listed] != "and 4 more" || !strings.HasPrefix(lines[1], "- bob opened s0 ") {
			t.Errorf("the window's message is\n%s", text)
		}
		time.Sleep(foldDefault)
		n.Report(opened("ana", "web"))
		time.Sleep(gather)
		expect(t, "after a quiet window", box, "ana opened web at home from 198.51.100.7, until "+clock(time.Now().Add(30*time.Minute-gather)))
	})
}

// A flood costs no memory and is one message.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := boxed(t, Options{}, "login")
		defer running(t, n, &desk{})()
		for range 100_000 {
			n.Report(ownline.News{Kind: ownline.LoginFailed, User: "ana"})
		}
		n.Report(ownline.News{Kind: ownline.LoginFailed, User: "ana", Count: 900})
		n.Report(opened("ana", "ssh")) // not wanted
		if f := n.channels[0].folds[ownline.LoginFailed]; len(f.first) != listed || n.Channels()[0].Waiting != 100_900 {
			t.Errorf("%d of %d are kept whole", len(f.first), n.Channels()[0].Waiting)
		}
		time.Sleep(gather)
		expect(t, "the flood", box, "100900 sign-ins failed:")
	})
}

// A message that is refused is tried again, ever later, and then given up; the next one says
// what was lost. The desk hears when that begins and when it ends.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := boxed(t, Options{})
		d := &desk{}
		defer running(t, n, d)()
		start := time.Now()
		refusal := &failure{text: "the service answered 500 Internal Server Error"}
		for range maxTries {
			box.fails = append(box.fails, refusal)
		}
		n.Report(opened("ana", "ssh"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c := n.Channels()[0]; c.Waiting != 1 || c.Failing || c.Error != refusal.text || c.LastFailure.IsZero() || d.takeChanges() != "" {
			t.Errorf("while it is tried: %+v", c)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(box.at) != maxTries || len(box.fails) != 0 {
			t.Fatalf("tried %d times", len(box.at))
		}
		for i, pause := 1, firstTry; i < maxTries; i, pause = i+1, min(2*pause, maxWait) {
			if got := box.at[i].Sub(box.at[i-1]); got < pause || got > pause+pause/4 {
				t.Errorf("the pause before try %d is %s, not about %s", i+1, got, pause)
			}
		}
		if c := n.Channels()[0]; c.Waiting != 0 || !c.Failing || c.Lost != 1 || c.Sent != 0 || d.takeChanges() != "failing: "+refusal.text {
			t.Errorf("given up after %s: %+v", time.Since(start), c)
		}
		n.Report(opened("bob", "web"))
		time.Sleep(gather)
		synctest.Wait()
		if text := box.whole(); !strings.HasSuffix(text, "\nBefore this, 1 of the news could not be delivered.") {
			t.Errorf("the next message is\n%s", text)
		}
		if c := n.Channels()[0]; c.Failing || c.Lost != 1 || c.Sent != 1 || c.Error != "" || c.LastSuccess.IsZero() || d.takeChanges() != "works" {
			t.Errorf("after it worked again: %+v", c)
		}
		time.Sleep(foldDefault)
		n.Report(opened("bob", "web"))
		time.Sleep(gather)
		synctest.Wait()
		if text := box.whole(); strings.Contains(text, "could not be delivered") {
			t.Errorf("told twice:\n%s", text)
		}
	})
}

// What is of no use is not tried again; who asks to wait is waited for.
func TestRetryAdvice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := boxed(t, Options{})
		d := &desk{}
		defer running(t, n, d)()
		box.fails = []error{answered(401)}
		n.Report(opened("ana", "ssh"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(box.at) != 1 || d.takeChanges() != "failing: the service answered 401 Unauthorized" {
			t.Errorf("tried %d times", len(box.at))
		}
		box.at = nil
		box.fails = []error{&failure{text: "429", after: 5 * time.Minute}, &failure{text: "429", after: 5 * time.Hour}, nil}
		n.Report(opened("ana", "ssh"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(box.at) != 3 || box.at[1].Sub(box.at[0]) != 5*time.Minute || box.at[2].Sub(box.at[1]) != maxAfter {
			t.Errorf("tried at %v", box.at)
		}
	})
}

// A channel that hangs holds up nobody: not who reports, not other channels, not the end.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		url := ownline.Secret("telegram://1:" + secret + "@telegram?chats=42")
		n := made(t, Options{}, Channel{URL: url}, Channel{URL: url})
		stuck, box := &mailbox{hangs: true}, &mailbox{}
		n.channels[0].sender, n.channels[1].sender = stuck, box
		stop := running(t, n, &desk{})
		start := time.Now()
		for i := range 1000 {
			n.Report(opened("ana", fmt.Sprint(i)))
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("reporting took %s", took)
		}
		time.Sleep(gather)
		expect(t, "the other channel", box, "1000 sessions opened:")
		if err := n.Test(t.Context(), "telegram"); !errors.Is(err, ownline.ErrUnavailable) || err.Error() != "another message is still being sent" {
			t.Errorf("Test = %v", err)
		}
		if err := n.Test(t.Context(), "telegram-2"); err != nil {
			t.Errorf("Test of the other = %v", err)
		}
		start = time.Now()
		stop()
		if took := time.Since(start); took > lastWords {
			t.Errorf("the end took %s", took)
		}
	})
}

// What is not told yet is told at the end.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := boxed(t, Options{})
		stop := running(t, n, &desk{})
		synctest.Wait()
		n.Report(opened("ana", "ssh"))
		stop()
		if got := box.take(); len(got) != 1 || !strings.HasPrefix(got[0], "ana opened ssh") {
			t.Errorf("got %q", got)
		}

		// Also what was being tried.
		n, box = boxed(t, Options{})
		box.fails = []error{&failure{text: "no"}}
		stop = running(t, n, &desk{})
		n.Report(opened("ana", "ssh"))
		time.Sleep(gather + time.Second)
		synctest.Wait()
		n.Report(opened("bob", "ssh"))
		stop()
		if got := box.take(); len(got) != 1 || got[0] != "2 sessions opened:" {
			t.Errorf("got %q", got)
		}
	})
}

// A site is down when it has been away for the grace, and up when it has stayed; one that
// flaps is told once.
func TestSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, box := boxed(t, Options{}, "site")
		home, office := ownline.NewID[ownline.Site](), ownline.NewID[ownline.Site]()
		d := &desk{}
		set := func(homeUp, officeUp bool) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.sites = []ownline.SiteInfo{
				{Site: ownline.Site{ID: home, Name: "home"}, Health: ownline.LinkHealth{Connected: homeUp, Error: "connection refused"}},
				{Site: ownline.Site{ID: office, Name: "office"}, Health: ownline.LinkHealth{Connected: officeUp}},
			}
		}
		set(true, false)
		defer running(t, n, d)()
		time.Sleep(grace - time.Second)
		set(true, true)
		time.Sleep(10 * time.Minute)
		expect(t, "away for less than the grace", box)
		for range 20 { // every half a minute
			set(false, true)
			time.Sleep(20 * time.Second)
			set(true, true)
			time.Sleep(10 * time.Second)
		}
		expect(t, "flapping", box)
		set(false, true)
		time.Sleep(grace + lookEvery + gather)
		expect(t, "down", box, "The site home can't be reached: connection refused")
		for range 20 {
			set(true, true)
			time.Sleep(30 * time.Second)
			set(false, true)
			time.Sleep(90 * time.Second)
		}
		expect(t, "flapping while it is down", box)
		set(true, true)
		time.Sleep(grace + lookEvery + gather)
		expect(t, "up", box, "The site home is reached again: it was away for 41m10s")
		time.Sleep(time.Hour)
		expect(t, "and stays", box)
	})
}
