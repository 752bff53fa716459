package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Log is what is logged, and how.
type Log struct {
	Level  string `key:"level"`  // debug, info, warn or error
	Format string `key:"format"` // text or json
}

func defaultLog() Log { return Log{Level: "info", Format: "text"} }

// rules are the checks that both programs share.
type rules struct {
	report func(key, detail string)
}

func (r rules) notEmpty(key, value string) {
	if value == "" {
		r.report(key, "must not be empty")
	}
}

func (r rules) between(key string, d, low, high time.Duration) {
	if d < low || d > high {
		r.report(key, fmt.Sprintf("%s is not from %s to %s", d, low, high))
	}
}

// keep checks how long something is kept.
func (r rules) keep(key string, d time.Duration) {
	if d != 0 && d < day {
		r.report(key, fmt.Sprintf("%s is less than a day, 24h; 0s would keep all for ever", d))
	}
}

func (r rules) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.report(key, fmt.Sprintf("%q is not one of %s", value, strings.Join(allowed, ", ")))
	}
}

func (r rules) log(l Log) {
	r.oneOf("log.level", l.Level, "debug", "info", "warn", "error")
	r.oneOf("log.format", l.Format, "text", "json")
}

// hostPort checks "HOST:PORT", where the host may be left out: ":8080".
func (r rules) hostPort(key, value string, mayBeEmpty bool) {
	if value == "" && mayBeEmpty {
		return
	}
	_, port, err := net.SplitHostPort(value)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || n == 0 {
		r.report(key, fmt.Sprintf("%q is not a host and port like 127.0.0.1:8080", value))
	}
}

func host(hostPort string) string {
	h, _, _ := net.SplitHostPort(hostPort)
	return h
}

func at(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
