-- The sessions that have ended are most of the history, which PostgreSQL does not know before
-- it has looked; and those of an invitation.

-- +goose Up
CREATE INDEX sessions_ended_newest ON sessions (opened, id) WHERE state = 'ended';
CREATE INDEX sessions_by_invitation ON sessions (invitation_id, opened, id) WHERE invitation_id IS NOT NULL;

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
