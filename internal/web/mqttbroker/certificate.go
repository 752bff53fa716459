package mqttbroker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ownline/ownline/internal/logging"
)

// Certificate is what the broker shows. Files that were renewed count without a restart.
type Certificate struct {
	file, keyFile string
	log           *slog.Logger

	mu      sync.Mutex // guards what follows
	looked  time.Time
	changed time.Time // the file, when current was read
	current *tls.Certificate
}

// LoadCertificate reads a certificate and its key from two files in PEM.
func LoadCertificate(file, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{file: file, keyFile: keyFile, log: log}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("mqtt.embedded.cert_file: %w", err)
	}
	return c, nil
}

func (c *Certificate) read() error {
	info, err := os.Stat(c.file)
	if err != nil {
		return err
	}
	if c.current != nil && info.ModTime().Equal(c.changed) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.file, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.changed = &pair, info.ModTime()
	return nil
}

// get returns the certificate, as the files have it now. What can't be read keeps the old one.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) > time.Second {
		c.looked = now
		if err := c.read(); err != nil {
			c.log.Warn("the embedded broker's certificate can't be read; keeping the one there is", logging.Err, err)
		}
	}
	return c.current, nil
}

func (c *Certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}
