package auth

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/alexedwards/argon2id"

	"github.com/ownline/ownline/internal/ownline"
)

// The hashes of passwords that come from elsewhere. Those of Werkzeug are
//
//	pbkdf2:sha256:ROUNDS$SALT$64 hexadecimal digits
//
// where the salt counts as the text that it is. They are taken at one sign-in, which
// replaces them by one of argon2id.
const (
	foreignPrefix = "pbkdf2:sha256:"
	minRounds     = 1000
	maxRounds     = 2_000_000 // about a second of a small machine
	maxSalt       = 64

	// The costliest argon2id that is taken from elsewhere.
	maxMemory      = 256 << 10 // KiB
	maxIterations  = 16
	maxWork        = 1 << 20 // KiB times iterations: about a second of a small machine
	maxParallelism = 16
)

func isForeign(hash string) bool { return strings.HasPrefix(hash, foreignPrefix) }

func parseForeign(hash string) (rounds int, salt string, sum []byte, err error) {
	bad := func(detail string) (int, string, []byte, error) {
		return 0, "", nil, ownline.Invalid("password_hash", detail)
	}
	parts := strings.Split(strings.TrimPrefix(hash, foreignPrefix), "$")
	if !isForeign(hash) || len(parts) != 3 {
		return bad("must be pbkdf2:sha256:ROUNDS$SALT$HASH, or an argon2id hash that begins with $argon2id$")
	}
	rounds, err = strconv.Atoi(parts[0])
	if err != nil || rounds < minRounds || rounds > maxRounds || strconv.Itoa(rounds) != parts[0] {
		return bad(fmt.Sprintf("must have %d to %d rounds", minRounds, maxRounds))
	}
	if salt = parts[1]; salt == "" || len(salt) > maxSalt {
		return bad(fmt.Sprintf("must have a salt of 1 to %d bytes", maxSalt))
	}
	if sum, err = hex.DecodeString(parts[2]); err != nil || len(sum) != sha256.Size {
		return bad(fmt.Sprintf("must end in %d hexadecimal digits", 2*sha256.Size))
	}
	return rounds, salt, sum, nil
}

func matchForeign(password, hash string) (bool, error) {
	rounds, salt, sum, err := parseForeign(hash)
	if err != nil {
		return false, err
	}
	got, err := pbkdf2.Key(sha256.New, password, []byte(salt), rounds, sha256.Size)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return subtle.ConstantTimeCompare(got, sum) == 1, nil
}

// CheckHash refuses what is no hash of a password that can be taken over: of another kind,
// damaged, or so costly that comparing with it would be an attack. The error is about the
// field "password_hash" and never repeats it.
func (*Passwords) CheckHash(hash string) error {
	if !strings.HasPrefix(hash, "$argon2id$") {
		_, _, _, err := parseForeign(hash)
		return err
	}
	params, salt, sum, err := argon2id.DecodeHash(hash)
	switch {
	case err != nil:
		return ownline.Invalid("password_hash", "is no argon2id hash as $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH")
	case params.Memory > maxMemory || params.Iterations > maxIterations || uint64(params.Memory)*uint64(params.Iterations) > maxWork ||
		params.Memory < 8 || params.Iterations < 1 || params.Parallelism < 1 || params.Parallelism > maxParallelism:
		return ownline.Invalid("password_hash", fmt.Sprintf("must have m of 8 to %d, t of 1 to %d, m times t of at most %d, and p of 1 to %d", maxMemory, maxIterations, maxWork, maxParallelism))
	case len(salt) < 8 || len(salt) > maxSalt || len(sum) < 16 || len(sum) > 64:
		return ownline.Invalid("password_hash", "must have a salt of 8 to 64 bytes and a hash of 16 to 64")
	}
	return nil
}
