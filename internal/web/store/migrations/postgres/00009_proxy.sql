-- Services behind the reverse proxy of their site, and what its core tells of it.

-- +goose Up
ALTER TABLE services ADD COLUMN options TEXT NOT NULL DEFAULT ''; -- JSON; empty: all as it comes
ALTER TABLE services ADD COLUMN everybody BIGINT NOT NULL DEFAULT 0; -- no grant is needed
ALTER TABLE sites ADD COLUMN proxy_driver TEXT NOT NULL DEFAULT ''; -- empty: core has not told
ALTER TABLE sites ADD COLUMN proxy_domain TEXT NOT NULL DEFAULT '';
ALTER TABLE sites ADD COLUMN proxy_port BIGINT NOT NULL DEFAULT 0;
