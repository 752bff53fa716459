package config

import (
	"crypto/tls"
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

// KeyPair returns the certificate and the key of two files in PEM; with "" nil.
func KeyPair(file, keyFile string) (*tls.Certificate, error) {
	if file == "" {
		return nil, nil
	}
	c, err := tls.LoadX509KeyPair(file, keyFile)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// certificate checks the two files behind a key, which stand together or not at all.
func (r rules) certificate(key, file, keyFile string) {
	if (file == "") != (keyFile == "") {
		r.report(key+".cert_file", "and key_file belong together: name both, or none")
	} else if _, err := KeyPair(file, keyFile); err != nil {
		r.report(key+".cert_file", err.Error()+"; it must be a certificate in PEM, and key_file the key to it")
	}
}

func (r rules) authorities(key, file string) {
	if _, err := Authorities(file); err != nil {
		r.report(key, err.Error())
	}
}
