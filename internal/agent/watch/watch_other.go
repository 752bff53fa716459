//go:build !linux

package watch

func openNetwork() (teller, error) { return nil, errNot }

func openSleep() (teller, error) { return nil, errNot }
