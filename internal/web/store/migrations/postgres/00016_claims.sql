-- A grant may want knocks to name the address that they come from, whatever device they are of.

-- +goose Up
ALTER TABLE grants ADD COLUMN require_claimed BIGINT NOT NULL DEFAULT 0;

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
