// Package config reads the settings of a daemon: one strict YAML file, overridden by the
// environment. A mistake is reported with its place, the key's whole path, what is wrong
// and what would be right; nothing unknown is passed over in silence.
//
// It is linked into the router's binary, so it walks the YAML tree itself instead of
// bringing a general decoder of structs.
package config
