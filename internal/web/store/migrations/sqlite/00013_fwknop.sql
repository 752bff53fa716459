-- Devices that are fwknop clients, and where their site's core hears them.

-- +goose Up
ALTER TABLE devices ADD COLUMN fwknop TEXT NOT NULL DEFAULT ''; -- HMAC of its packets; empty: it is none
ALTER TABLE sites ADD COLUMN fwknop_port BIGINT NOT NULL DEFAULT 0; -- 0: nowhere

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
