// Package transfer: what a database holds as one YAML file, and such a file into a database.
// It reads the file strictly, says what differs, and applies that through access in one
// transaction. The files of the Python prototype become the same document.
//
// docs/reference/export.md describes the file.
package transfer
