package nft

import (
	"testing"
	"time"
)

// What the kernel sends is read without panic, whatever it is.
func FuzzRead(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 12, 0, 3, 0x80, 8, 0, 1, 0x80, 4, 0, 1, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		eachElement(b, time.Now(), func(e kernelElement) {
			_, _, _ = parseLiveKey(e.key, 64)
			_, _ = parseMapKey(e.key, 64)
			_, _ = parseMapValue(e.data)
		})
		t := kernelTable{sets: map[string]kernelSet{}, chains: map[string]kernelChain{}}
		t.set(b)
		t.chain(b)
		t.rule(b)
		_ = comment(b, 0)
	})
}
