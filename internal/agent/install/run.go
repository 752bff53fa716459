package install

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/kardianos/service"
)

// patience is how long the system lets a service take to stop.
const patience = 10 * time.Second

// Run runs f as the system wants it: where a service has to answer the system's commands, as such a one. The
// writer leads to the system's log, if f was not started by a person and what it writes to talk would be seen
// by nobody.
func Run(ctx context.Context, talk io.Writer, f func(ctx context.Context, log io.Writer) error) error {
	if service.Interactive() || runtime.GOOS != "windows" && runtime.GOOS != "darwin" {
		return f(ctx, talk) // systemd keeps what is written in its journal
	}
	p := &program{run: f}
	s, err := service.New(p, &service.Config{Name: name, DisplayName: title})
	if err != nil {
		return err
	}
	log, err := s.SystemLogger(nil)
	if err != nil {
		return err
	}
	p.log = lines{log}
	if runtime.GOOS == "darwin" {
		return f(ctx, p.log)
	}
	p.ctx, p.cancel = context.WithCancel(ctx)
	defer p.cancel()
	return s.Run()
}

// program is the agent as a service that is told to start and to stop.
type program struct {
	run    func(context.Context, io.Writer) error
	log    io.Writer
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
}

// Start begins.
func (p *program) Start(service.Service) error {
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		if err := p.run(p.ctx, p.log); err != nil {
			_, _ = io.WriteString(p.log, "level=ERROR "+err.Error())
			os.Exit(1) // the system takes it for failed, and starts it again
		}
	}()
	return nil
}

// Stop ends it and waits.
func (p *program) Stop(service.Service) error {
	p.cancel()
	select {
	case <-p.done:
	case <-time.After(patience):
	}
	return nil
}

// lines passes lines of the log on to the system's, by their level.
type lines struct{ to service.Logger }

// Write takes one line, as log/slog writes them.
func (l lines) Write(line []byte) (int, error) {
	write := l.to.Info
	switch {
	case bytes.Contains(line, []byte("level=ERROR ")):
		write = l.to.Error
	case bytes.Contains(line, []byte("level=WARN ")):
		write = l.to.Warning
	}
	return len(line), write(string(bytes.TrimSpace(line)))
}
