package agent

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"
)

// An agent that starts makes a damaged state good at once, though no site answers.
func TestDamagedState(t *testing.T) {
	folder := Folder(t.TempDir())
	if err := os.WriteFile(folder.file(), []byte(`{"pid": 1`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := folder.Read(); err == nil {
		t.Fatal("it is not damaged")
	}
	b := &table{t: t, named: map[string]any{"home": profileAt("home.example.org")}, reload: make(chan struct{}, 1)}
	silent := func(ctx context.Context, _ Request) ([]Reply, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	release, err := folder.Take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := New(Options{Profiles: b, Watch: b, Reload: b.reload, Knock: silent, Keep: folder.Write, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var s State
	runs := false
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if s, runs, err = folder.Read(); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Error(err)
			break
		}
	}
	if !runs || s.PID != os.Getpid() || len(s.Profiles) != 1 || s.Profiles[0].Last != nil {
		t.Errorf("%+v; runs: %v", s, runs)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
