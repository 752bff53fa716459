-- +goose Up
CREATE TABLE service_icons (
    service_id TEXT NOT NULL PRIMARY KEY REFERENCES services (id),
    kind       TEXT NOT NULL, -- a media type
    content    BLOB NOT NULL
);
CREATE INDEX audit_by_subject ON audit (subject, id);
CREATE INDEX audit_by_actor ON audit (actor, id);

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
