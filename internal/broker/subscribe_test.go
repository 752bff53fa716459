package broker

import "testing"

// A broker that refuses a subscription is asked again: an admin may have mended its rights. Until
// then it counts as not connected.
func TestRefusedSubscription(t *testing.T) {
	mended := make(chan struct{})
	f := serve(t, func(p *peer, _ int) {
		p.welcome()
		for code := byte(0x87); ; code = 1 {
			first, body := p.next()
			if first == 0 {
				return
			}
			if code == 1 {
				select {
				case <-mended:
				case <-t.Context().Done():
					return
				}
			}
			p.send(0x90, 4, body[0], body[1], 0, code)
		}
	})
	c, _ := f.run()
	f.wait(c, "the refusal is told", func(s Status) bool { return !s.Connected && s.Error != "" })
	close(mended)
	f.wait(c, "it is asked again", func(s Status) bool { return s.Connected })
}
