package config

import (
	"crypto/x509"
	"fmt"
	"os"
)

// Authorities returns the system's authorities and those of a file in PEM beside them; with
// "" nil, which stands for the system's alone.
func Authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

func (r rules) authorities(key, file string) {
	if _, err := Authorities(file); err != nil {
		r.report(key, err.Error())
	}
}
