package knock

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"
)

// Invariant 2: a knock is accepted at most once, ever.
func TestMemory(t *testing.T) {
	const skew = time.Minute
	at := func(s int) time.Time { return testTime.Add(time.Duration(s) * time.Second) }
	steps := []struct {
		name  string
		nonce byte
		time  int
		want  bool
	}{
		{"first", 1, 0, true},
		{"replay", 1, 0, false},
		{"same nonce, another time", 1, 1, false},
		{"overtaken on the way", 2, -100, true},
		{"at the floor", 3, -120, false},
		{"below the floor", 4, -500, false},
		{"later", 5, 200, true},
		{"replay of what the floor forgot", 1, 0, false},
		{"clock set back", 6, 79, false},
		{"just above the floor", 7, 81, true},
	}
	var m Memory
	for _, s := range steps {
		if got := m.Accept(Nonce{s.nonce}, at(s.time), skew); got != s.want {
			t.Errorf("%s: Accept = %v, want %v", s.name, got, s.want)
		}
	}
	for i := range 10_000 {
		m.Accept(Nonce{9, byte(i), byte(i >> 8)}, at(1000+i), skew)
	}
	if len(m.seen) > 121 {
		t.Errorf("%d nonces are kept; those of two minutes are enough", len(m.seen))
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortAnswers(a []answerVector) {
	slices.SortFunc(a, func(x, y answerVector) int { return cmp.Compare(x.Name, y.Name) })
}
