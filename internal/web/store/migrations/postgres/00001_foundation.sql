-- Times are whole milliseconds since 1970 in UTC, 0 meaning never; durations are whole
-- milliseconds; booleans are 0 or 1. What is removed keeps its row for the sake of history.
-- Text is ordered by its bytes, as in SQLite, whatever the language of the database.

-- +goose Up
CREATE TABLE settings (
    key   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE users (
    id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name     TEXT COLLATE "C" NOT NULL,
    password TEXT COLLATE "C" NOT NULL, -- argon2id, as a PHC string
    role     TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'user')),
    disabled BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    removed  BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX users_by_name ON users (name) WHERE removed = 0;

CREATE TABLE logins (
    id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    hash    BYTEA  NOT NULL UNIQUE, -- of the cookie
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX logins_by_user ON logins (user_id);

CREATE TABLE tokens (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id   TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    name      TEXT COLLATE "C" NOT NULL,
    scopes    TEXT COLLATE "C" NOT NULL, -- separated by blanks
    hash      BYTEA  NOT NULL UNIQUE,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    last_used BIGINT NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id);

CREATE TABLE sites (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name           TEXT COLLATE "C" NOT NULL,
    host           TEXT COLLATE "C" NOT NULL,
    link           TEXT COLLATE "C" NOT NULL,
    pin            TEXT COLLATE "C" NOT NULL,
    knock_port     BIGINT NOT NULL,
    local_networks TEXT COLLATE "C" NOT NULL, -- separated by blanks
    reserved_ports TEXT COLLATE "C" NOT NULL, -- separated by blanks
    ipv6_prefix    BIGINT NOT NULL,
    revision       BIGINT NOT NULL, -- of what its core should hold
    created        BIGINT NOT NULL,
    removed        BIGINT NOT NULL DEFAULT 0,
    cleared        BIGINT NOT NULL DEFAULT 0 -- removed, and its core has been told
);
CREATE UNIQUE INDEX sites_by_name ON sites (name) WHERE removed = 0;
CREATE UNIQUE INDEX sites_by_pin ON sites (pin) WHERE removed = 0;

CREATE TABLE services (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    site_id   TEXT COLLATE "C" NOT NULL REFERENCES sites (id),
    name      TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    transport TEXT COLLATE "C" NOT NULL CHECK (transport IN ('tcp', 'udp')),
    target4   TEXT COLLATE "C" NOT NULL,
    target6   TEXT COLLATE "C" NOT NULL,
    icon      TEXT COLLATE "C" NOT NULL,
    created   BIGINT NOT NULL,
    removed   BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX services_by_name ON services (site_id, name) WHERE removed = 0;

CREATE TABLE grants (
    id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id        TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    service_id     TEXT COLLATE "C" NOT NULL REFERENCES services (id),
    automatic      BIGINT NOT NULL,
    public_port    BIGINT NOT NULL,
    allow_reserved BIGINT NOT NULL,
    max_duration   BIGINT NOT NULL,
    created        BIGINT NOT NULL,
    UNIQUE (user_id, service_id)
);
CREATE INDEX grants_by_service ON grants (service_id);

CREATE TABLE devices (
    id              TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    user_id         TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    site_id         TEXT COLLATE "C" NOT NULL REFERENCES sites (id),
    name            TEXT COLLATE "C" NOT NULL,
    secret          BYTEA  NOT NULL, -- sealed
    require_claimed BIGINT NOT NULL,
    revoked         BIGINT NOT NULL,
    floor           BIGINT NOT NULL DEFAULT 0, -- knocks made then or before count no more
    last_knock      BIGINT NOT NULL DEFAULT 0,
    last_source     TEXT COLLATE "C" NOT NULL DEFAULT '',
    created         BIGINT NOT NULL,
    removed         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX devices_by_user ON devices (user_id);
CREATE INDEX devices_by_site ON devices (site_id);

-- The accepted knocks above their device's floor. Those at or below it have no effect and
-- are swept up now and then.
CREATE TABLE knocks (
    device_id TEXT COLLATE "C" NOT NULL REFERENCES devices (id),
    nonce     BYTEA  NOT NULL,
    made      BIGINT NOT NULL,
    PRIMARY KEY (device_id, nonce)
);

CREATE TABLE sessions (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    site_id      TEXT COLLATE "C" NOT NULL REFERENCES sites (id),
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    service_id   TEXT COLLATE "C" NOT NULL REFERENCES services (id),
    device_id    TEXT COLLATE "C" REFERENCES devices (id),
    source       TEXT COLLATE "C" NOT NULL,
    public_port  BIGINT NOT NULL,
    reserved     BIGINT NOT NULL, -- public_port may be one that the router serves itself
    transport    TEXT COLLATE "C" NOT NULL,
    target       TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL CHECK (state IN ('opening', 'active', 'ended')),
    reason       TEXT COLLATE "C" NOT NULL,
    detail       TEXT COLLATE "C" NOT NULL,
    opened       BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    ended        BIGINT NOT NULL,
    successor    TEXT COLLATE "C" NOT NULL,
    revision     BIGINT NOT NULL, -- of the site, at the session's last change
    up_bytes     BIGINT NOT NULL DEFAULT 0,
    up_packets   BIGINT NOT NULL DEFAULT 0,
    down_bytes   BIGINT NOT NULL DEFAULT 0,
    down_packets BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_live ON sessions (site_id, source) WHERE state <> 'ended';
CREATE INDEX sessions_live_of_device ON sessions (device_id) WHERE state <> 'ended';
CREATE INDEX sessions_due ON sessions (expires) WHERE state <> 'ended';

CREATE TABLE idempotency (
    user_id    TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    ask        TEXT COLLATE "C" NOT NULL, -- what was asked for under the key
    session_id TEXT COLLATE "C" NOT NULL REFERENCES sessions (id),
    created    BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_by_session ON idempotency (session_id);

CREATE TABLE audit (
    id      BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT COLLATE "C" NOT NULL,
    how     TEXT COLLATE "C" NOT NULL,
    client  TEXT COLLATE "C" NOT NULL,
    action  TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    site    TEXT COLLATE "C" NOT NULL,
    detail  TEXT COLLATE "C" NOT NULL
);
-- +goose StatementBegin
CREATE FUNCTION audit_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to';
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to();

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
