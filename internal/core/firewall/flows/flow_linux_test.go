package flows

import "testing"

// What the kernel sends is read without panic, whatever it is.
func FuzzFlow(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 12, 0, 1, 0x80, 8, 0, 1, 0x80, 4, 0, 1, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		if flow, ok := parseFlow(b); ok {
			_, _ = flow.labelled(), flow.marked()
		}
	})
}
