-- +goose Up
CREATE TABLE invitations (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    service_id TEXT   NOT NULL REFERENCES services (id),
    message    TEXT   NOT NULL,
    duration   BIGINT NOT NULL,
    uses       BIGINT NOT NULL,
    used       BIGINT NOT NULL,
    countries  TEXT   NOT NULL, -- separated by blanks
    hash       BYTEA  NOT NULL UNIQUE, -- of the secret in the link
    unseals    BYTEA, -- what opens sealed redeems, sealed; NULL once no more are answered
    created    BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    revoked    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX invitations_by_user ON invitations (user_id, id);
CREATE INDEX invitations_by_service ON invitations (service_id);
CREATE INDEX invitations_unsealing ON invitations (expires) WHERE unseals IS NOT NULL;

-- The sealed redeems that have counted. They are kept for as long as their invitation's keys.
CREATE TABLE redeems (
    invitation_id TEXT   NOT NULL REFERENCES invitations (id),
    nonce         BYTEA  NOT NULL,
    at            BIGINT NOT NULL,
    PRIMARY KEY (invitation_id, nonce)
);

ALTER TABLE sessions ADD COLUMN invitation_id TEXT REFERENCES invitations (id);
CREATE INDEX sessions_live_of_invitation ON sessions (invitation_id) WHERE state <> 'ended';

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
