-- What the released schema 1 holds, as "sqlite3 ownline.db .dump" writes it.
BEGIN TRANSACTION;
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    how     TEXT   NOT NULL,
    client  TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    site    TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);
INSERT INTO "audit" VALUES(1,1772366400000,'','command','','test','','','');
CREATE TABLE devices (
    id              TEXT   NOT NULL PRIMARY KEY,
    user_id         TEXT   NOT NULL REFERENCES users (id),
    site_id         TEXT   NOT NULL REFERENCES sites (id),
    name            TEXT   NOT NULL,
    secret          BLOB   NOT NULL, -- sealed
    require_claimed BIGINT NOT NULL,
    revoked         BIGINT NOT NULL,
    floor           BIGINT NOT NULL DEFAULT 0, -- knocks made then or before count no more
    last_knock      BIGINT NOT NULL DEFAULT 0,
    last_source     TEXT   NOT NULL DEFAULT '',
    created         BIGINT NOT NULL,
    removed         BIGINT NOT NULL DEFAULT 0
);
INSERT INTO "devices" VALUES('01a21662-517e-7952-a221-3856e4ff5b9e','01a21662-517e-7926-9d9f-9c3a6e28e50f','01a21662-517e-792a-9450-16c3584ff88e','phone',X'7BD773A211056AE936FF89762D8677AC18E3AACC09AE44C64B186DB6C35D86C9E0EB99484E147FC2AD4E54A834BB268D87AA075BA1303007D4D2314A',1,0,1772366280000,1772366400000,'198.51.100.7/32',1772366400000,0);
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-26 05:44:31');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-26 05:44:31');
CREATE TABLE grants (
    id             TEXT   NOT NULL PRIMARY KEY,
    user_id        TEXT   NOT NULL REFERENCES users (id),
    service_id     TEXT   NOT NULL REFERENCES services (id),
    automatic      BIGINT NOT NULL,
    public_port    BIGINT NOT NULL,
    allow_reserved BIGINT NOT NULL,
    max_duration   BIGINT NOT NULL,
    created        BIGINT NOT NULL,
    UNIQUE (user_id, service_id)
);
INSERT INTO "grants" VALUES('01a21662-517e-794f-8ea2-a5874e9b1a55','01a21662-517e-7926-9d9f-9c3a6e28e50f','01a21662-517e-7944-b537-b11d831cf653',1,443,1,90000,1772366400000);
CREATE TABLE idempotency (
    user_id    TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    ask        TEXT   NOT NULL, -- what was asked for under the key
    session_id TEXT   NOT NULL REFERENCES sessions (id),
    created    BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
INSERT INTO "idempotency" VALUES('01a21662-517e-7926-9d9f-9c3a6e28e50f','k','ask','01a21662-517e-795e-bbdd-eef4e92d2bfe',1772366400000);
CREATE TABLE knocks (
    device_id TEXT   NOT NULL REFERENCES devices (id),
    nonce     BLOB   NOT NULL,
    made      BIGINT NOT NULL,
    PRIMARY KEY (device_id, nonce)
) WITHOUT ROWID;
INSERT INTO "knocks" VALUES('01a21662-517e-7952-a221-3856e4ff5b9e',X'010000000000000000000000',1772366400000);
CREATE TABLE logins (
    id      TEXT   NOT NULL PRIMARY KEY,
    user_id TEXT   NOT NULL REFERENCES users (id),
    hash    BLOB   NOT NULL UNIQUE, -- of the cookie
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
INSERT INTO "logins" VALUES('01a21662-5186-76f1-aa35-ec7d5a36c78e','01a21662-517e-7926-9d9f-9c3a6e28e50f',X'6C',1772366400000,1772370000000);
CREATE TABLE services (
    id        TEXT   NOT NULL PRIMARY KEY,
    site_id   TEXT   NOT NULL REFERENCES sites (id),
    name      TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    transport TEXT   NOT NULL CHECK (transport IN ('tcp', 'udp')),
    target4   TEXT   NOT NULL,
    target6   TEXT   NOT NULL,
    icon      TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    removed   BIGINT NOT NULL DEFAULT 0
);
INSERT INTO "services" VALUES('01a21662-517e-7944-b537-b11d831cf653','01a21662-517e-792a-9450-16c3584ff88e','ssh','forward','tcp','192.168.7.10:22','[fd00:7::10]:22','terminal',1772366400000,0);
CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    site_id      TEXT   NOT NULL REFERENCES sites (id),
    user_id      TEXT   NOT NULL REFERENCES users (id),
    service_id   TEXT   NOT NULL REFERENCES services (id),
    device_id    TEXT   REFERENCES devices (id),
    source       TEXT   NOT NULL,
    public_port  BIGINT NOT NULL,
    reserved     BIGINT NOT NULL, -- public_port may be one that the router serves itself
    transport    TEXT   NOT NULL,
    target       TEXT   NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('opening', 'active', 'ended')),
    reason       TEXT   NOT NULL,
    detail       TEXT   NOT NULL,
    opened       BIGINT NOT NULL,
    expires      BIGINT NOT NULL,
    ended        BIGINT NOT NULL,
    successor    TEXT   NOT NULL,
    revision     BIGINT NOT NULL, -- of the site, at the session's last change
    up_bytes     BIGINT NOT NULL DEFAULT 0,
    up_packets   BIGINT NOT NULL DEFAULT 0,
    down_bytes   BIGINT NOT NULL DEFAULT 0,
    down_packets BIGINT NOT NULL DEFAULT 0
);
INSERT INTO "sessions" VALUES('01a21662-517e-795e-bbdd-eef4e92d2bfe','01a21662-517e-792a-9450-16c3584ff88e','01a21662-517e-7926-9d9f-9c3a6e28e50f','01a21662-517e-7944-b537-b11d831cf653','01a21662-517e-7952-a221-3856e4ff5b9e','198.51.100.7/32',20000,1,'tcp','192.168.7.10:22','opening','','',1772366400000,1772370000000,0,'',2,0,0,0,0);
CREATE TABLE settings (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "settings" VALUES('store.key_check','dWcI/qzdcTTOugEL30pY0noa6DbFn02kTCDboU+KT+bCUi4');
INSERT INTO "settings" VALUES('link.epoch','j_5kwIYzn8qCE0Ed');
INSERT INTO "settings" VALUES('link.identity','mj+M64sy8ALYY/I52A3/8DkROLVpM5dS0SbKn4xDhg');
CREATE TABLE sites (
    id             TEXT   NOT NULL PRIMARY KEY,
    name           TEXT   NOT NULL,
    host           TEXT   NOT NULL,
    link           TEXT   NOT NULL,
    pin            TEXT   NOT NULL,
    knock_port     BIGINT NOT NULL,
    local_networks TEXT   NOT NULL, -- separated by blanks
    reserved_ports TEXT   NOT NULL, -- separated by blanks
    ipv6_prefix    BIGINT NOT NULL,
    revision       BIGINT NOT NULL, -- of what its core should hold
    created        BIGINT NOT NULL,
    removed        BIGINT NOT NULL DEFAULT 0,
    cleared        BIGINT NOT NULL DEFAULT 0 -- removed, and its core has been told
);
INSERT INTO "sites" VALUES('01a21662-517e-792a-9450-16c3584ff88e','home','home.example.org','127.0.0.1:1','pin',54754,'192.168.7.0/24 fd00:7::/64','22 443',64,1,1772366400000,0,0);
CREATE TABLE tokens (
    id        TEXT   NOT NULL PRIMARY KEY,
    user_id   TEXT   NOT NULL REFERENCES users (id),
    name      TEXT   NOT NULL,
    scopes    TEXT   NOT NULL, -- separated by blanks
    hash      BLOB   NOT NULL UNIQUE,
    created   BIGINT NOT NULL,
    expires   BIGINT NOT NULL,
    last_used BIGINT NOT NULL
);
INSERT INTO "tokens" VALUES('01a21662-5188-71df-bf86-690fe6a9bcb5','01a21662-517e-7926-9d9f-9c3a6e28e50f','cli','full',X'6B',1772366400000,0,0);
CREATE TABLE users (
    id       TEXT   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    password TEXT   NOT NULL, -- argon2id, as a PHC string
    role     TEXT   NOT NULL CHECK (role IN ('admin', 'user')),
    disabled BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    removed  BIGINT NOT NULL DEFAULT 0
);
INSERT INTO "users" VALUES('01a21662-517e-7926-9d9f-9c3a6e28e50f','ana','hash','user',0,1772366400000,0);
CREATE UNIQUE INDEX users_by_name ON users (name) WHERE removed = 0;
CREATE INDEX logins_by_user ON logins (user_id);
CREATE INDEX tokens_by_user ON tokens (user_id);
CREATE UNIQUE INDEX sites_by_name ON sites (name) WHERE removed = 0;
CREATE UNIQUE INDEX sites_by_pin ON sites (pin) WHERE removed = 0;
CREATE UNIQUE INDEX services_by_name ON services (site_id, name) WHERE removed = 0;
CREATE INDEX grants_by_service ON grants (service_id);
CREATE INDEX devices_by_user ON devices (user_id);
CREATE INDEX devices_by_site ON devices (site_id);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_live ON sessions (site_id, source) WHERE state <> 'ended';
CREATE INDEX sessions_live_of_device ON sessions (device_id) WHERE state <> 'ended';
CREATE INDEX sessions_due ON sessions (expires) WHERE state <> 'ended';
CREATE INDEX idempotency_by_session ON idempotency (session_id);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('goose_db_version',2);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
COMMIT;
