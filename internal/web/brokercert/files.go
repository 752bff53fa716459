// Package brokercert is where the certificate of the broker inside web comes from: files that
// somebody else renews, or the router of a site, which has one signed for a key that web makes and
// keeps. A key never crosses the link.
package brokercert

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// Status tells how a certificate is.
type Status struct {
	Expires time.Time // zero: there is none
	Problem string    // what is wrong; "": nothing
	Next    time.Time // when it is tried again; zero: as soon as what is wrong is mended
}

// FileSource is a certificate in files. Files that were renewed count without a restart.
type FileSource struct {
	file, keyFile string
	log           *slog.Logger

	mu      sync.Mutex // guards what follows
	looked  time.Time
	changed time.Time // the file, when current was read
	problem string    // of the files as they are; current is from before
	current *tls.Certificate
}

// Files reads a certificate and its key from two files in PEM.
func Files(file, keyFile string, log *slog.Logger) (*FileSource, error) {
	f := &FileSource{file: file, keyFile: keyFile, log: log}
	if err := f.read(); err != nil {
		return nil, fmt.Errorf("mqtt.embedded.cert_file: %w", err)
	}
	return f, nil
}

func (f *FileSource) read() error {
	info, err := os.Stat(f.file)
	if err != nil {
		return err
	}
	if f.current != nil && info.ModTime().Equal(f.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.file, f.keyFile)
	if err != nil {
		return err
	}
	f.current, f.changed = &pair, info.ModTime()
	return nil
}

// look reads the files, at most once a second. Call it with mu held.
func (f *FileSource) look() {
	now := time.Now()
	if now.Sub(f.looked) <= time.Second {
		return
	}
	f.looked = now
	was := f.problem
	f.problem = ""
	if err := f.read(); err != nil {
		if f.problem = err.Error(); f.problem != was {
			f.log.Warn("the embedded broker's certificate can't be read; keeping the one there is", logging.Err, err)
		}
	}
}

// Certificate returns the certificate, as the files have it now. What can't be read keeps the old
// one.
func (f *FileSource) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	return f.current, nil
}

// Status tells until when the certificate is good, and what is wrong with the files.
func (f *FileSource) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	return Status{Expires: f.current.Leaf.NotAfter.UTC(), Problem: f.problem}
}
