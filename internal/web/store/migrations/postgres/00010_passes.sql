-- Logins at services behind the reverse proxy that require one.

-- +goose Up
CREATE TABLE passes (
    login_id   TEXT   NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
    service_id TEXT   NOT NULL REFERENCES services (id),
    user_id    TEXT   NOT NULL REFERENCES users (id),
    expires    BIGINT NOT NULL,
    PRIMARY KEY (login_id, service_id)
);
CREATE INDEX passes_by_service ON passes (service_id, user_id);
