-- Second factors, passkeys, and what is remembered of who signed in and who tried.

-- +goose Up
ALTER TABLE users ADD COLUMN must_change BIGINT NOT NULL DEFAULT 0; -- the password, before anything else

ALTER TABLE logins ADD COLUMN method TEXT NOT NULL DEFAULT 'password';
ALTER TABLE logins ADD COLUMN client TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
UPDATE logins SET seen = created;

-- Failures that are alike and close together are one row with a count.
CREATE TABLE login_attempts (
    id      TEXT   NOT NULL PRIMARY KEY,
    user_id TEXT   NOT NULL, -- '': a name that nobody has; it is not kept
    at      BIGINT NOT NULL,
    latest  BIGINT NOT NULL,
    tries   BIGINT NOT NULL,
    method  TEXT   NOT NULL,
    result  TEXT   NOT NULL,
    client  TEXT   NOT NULL,
    place   TEXT   NOT NULL, -- the network that the client is in
    agent   TEXT   NOT NULL
);
CREATE INDEX login_attempts_by_user ON login_attempts (user_id, id);

CREATE TABLE totp (
    user_id   TEXT   NOT NULL PRIMARY KEY REFERENCES users (id),
    secret    BLOB   NOT NULL, -- sealed
    confirmed BIGINT NOT NULL, -- 0: does not count yet
    last_step BIGINT NOT NULL, -- codes of this step or before it count no more
    created   BIGINT NOT NULL
);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id),
    hash    BLOB NOT NULL,
    PRIMARY KEY (user_id, hash)
);

CREATE TABLE passkeys (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    name       TEXT   NOT NULL,
    credential BLOB   NOT NULL UNIQUE, -- the identifier that the authenticator gave it
    data       BLOB   NOT NULL,        -- public key, counter and flags
    cloned     BIGINT NOT NULL,        -- its counter went backwards
    created    BIGINT NOT NULL,
    last_used  BIGINT NOT NULL
);
CREATE INDEX passkeys_by_user ON passkeys (user_id);

-- Steps of a sign-in that were carried out, until they would be too old anyway.
CREATE TABLE spent_steps (
    hash    BLOB   NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
);

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
