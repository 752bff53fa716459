-- Who ended a session: '' for nobody, or somebody without an account.

-- +goose Up
ALTER TABLE sessions ADD COLUMN ended_by TEXT NOT NULL DEFAULT '';

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
