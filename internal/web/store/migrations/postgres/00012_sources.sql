-- Carriers send a device's packets from several addresses.

-- +goose Up
ALTER TABLE grants ADD COLUMN max_sources BIGINT NOT NULL DEFAULT 0; -- of one device, open side by side; 0: the usual number
