-- Where sources may be, and how often knocks were refused.

-- +goose Up
ALTER TABLE sites ADD COLUMN allowed_from TEXT NOT NULL DEFAULT ''; -- countries, autonomous systems and networks with blanks between them; empty: anywhere
ALTER TABLE grants ADD COLUMN allowed_from TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN allowed_from TEXT NOT NULL DEFAULT '';

-- A row for all of one kind within a day of UTC. Identifiers are '' where nobody knows them.
CREATE TABLE refusals (
    day       BIGINT NOT NULL,
    site_id   TEXT   NOT NULL,
    device_id TEXT   NOT NULL,
    reason    TEXT   NOT NULL,
    number    BIGINT NOT NULL,
    first     BIGINT NOT NULL,
    latest    BIGINT NOT NULL,
    PRIMARY KEY (day, site_id, device_id, reason)
);

-- What cores have counted since they started, as far as it is in refusals.
CREATE TABLE refusals_told (
    site_id TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    number  BIGINT NOT NULL,
    PRIMARY KEY (site_id, reason)
);

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
