package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
)

// Authorities returns the system's authorities and those of a file in PEM beside them; with
// "" nil, which stands for the system's alone.
func Authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// maxAuthority bounds what a profile's QR code has to hold, in bytes.
const maxAuthority = 1200

// Authority returns the only certificate of a file in PEM, as DER that fits into a profile; with
// "" nil.
func Authority(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(content)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("%s holds more than one certificate: name a file with that of the authority alone", file)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil, err
	}
	if len(block.Bytes) > maxAuthority {
		return nil, fmt.Errorf("%s has %d bytes, and more than %d don't fit into a profile's QR code: use an authority with a key of P-256", file, len(block.Bytes), maxAuthority)
	}
	return block.Bytes, nil
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
