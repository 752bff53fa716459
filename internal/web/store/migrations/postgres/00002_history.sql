-- The history of sessions is read newest first, by what one filters by.

-- +goose Up
DROP INDEX sessions_by_user;
CREATE INDEX sessions_by_user ON sessions (user_id, opened, id);
CREATE INDEX sessions_by_service ON sessions (service_id, opened, id);
CREATE INDEX sessions_by_site ON sessions (site_id, opened, id);
CREATE INDEX sessions_by_device ON sessions (device_id, opened, id) WHERE device_id IS NOT NULL;
CREATE INDEX sessions_by_source ON sessions (source, opened, id);
CREATE INDEX sessions_by_reason ON sessions (reason, opened, id);
CREATE INDEX sessions_newest ON sessions (opened, id);
CREATE INDEX sessions_live_newest ON sessions (opened, id) WHERE state <> 'ended';

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
