-- Where a device has knocked from: countries, and networks as autonomous systems or, without
-- a database of those, as prefixes.

-- +goose Up
CREATE TABLE device_places (
    device_id  TEXT   NOT NULL REFERENCES devices (id),
    kind       TEXT   NOT NULL CHECK (kind IN ('country', 'system', 'prefix')),
    name       TEXT   NOT NULL, -- ES, AS64500, 198.51.0.0/16
    first_seen BIGINT NOT NULL,
    PRIMARY KEY (device_id, kind, name)
);
