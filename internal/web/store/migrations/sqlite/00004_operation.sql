-- +goose Up
-- Retention alone shortens the audit log, and only from its old end: up to a line that
-- nothing but moves on, once the log has a line. Every move adds a line to the log by itself.
CREATE TABLE audit_cut (
    one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    line BIGINT NOT NULL, -- lines of this number and below may be deleted
    at   BIGINT NOT NULL  -- when it moved last
);
INSERT INTO audit_cut (one, line, at) VALUES (1, 0, 0);

DROP TRIGGER audit_is_never_shortened;
-- +goose StatementBegin
CREATE TRIGGER audit_is_shortened_from_its_end BEFORE DELETE ON audit WHEN OLD.id > coalesce((SELECT line FROM audit_cut), 0) BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_lines_are_never_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id) BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_cut_moves_on BEFORE UPDATE ON audit_cut WHEN NEW.line <= OLD.line OR NEW.line > (SELECT max(id) FROM audit) BEGIN
    SELECT RAISE(ABORT, 'the audit log is shortened from its end');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_cut_stays BEFORE DELETE ON audit_cut WHEN EXISTS (SELECT 1 FROM audit) BEGIN
    SELECT RAISE(ABORT, 'the audit log is shortened from its end');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_cut_is_one BEFORE INSERT ON audit_cut WHEN EXISTS (SELECT 1 FROM audit_cut) BEGIN
    SELECT RAISE(ABORT, 'the audit log is shortened from its end');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_cut_is_told AFTER UPDATE ON audit_cut BEGIN
    INSERT INTO audit (at, actor, how, client, action, subject, site, detail)
    VALUES (NEW.at, '', 'system', '', 'audit.shorten', '', '', 'lines up to number ' || NEW.line || ' are no longer kept');
END;
-- +goose StatementEnd

-- Who at a provider of OpenID Connect is which user.
CREATE TABLE oidc_links (
    issuer  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    user_id TEXT   NOT NULL REFERENCES users (id),
    created BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX oidc_links_by_user ON oidc_links (user_id);

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
