-- +goose Up
-- Retention alone shortens the audit log, and only from its old end: up to a line that
-- nothing but moves on. Every move adds a line to the log by itself.
CREATE TABLE audit_cut (
    one  BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    line BIGINT NOT NULL, -- lines of this number and below may be deleted
    at   BIGINT NOT NULL  -- when it moved last
);
INSERT INTO audit_cut (one, line, at) VALUES (1, 0, 0);

DROP TRIGGER audit_is_never_changed ON audit;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_only_added_to();
-- +goose StatementBegin
CREATE FUNCTION audit_is_shortened() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.id > coalesce((SELECT line FROM audit_cut), 0) THEN
        RAISE EXCEPTION 'the audit log is only ever added to';
    END IF;
    RETURN OLD;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_is_shortened_from_its_end BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_shortened();
-- +goose StatementBegin
CREATE FUNCTION audit_cut_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.line <= OLD.line OR NEW.line > coalesce((SELECT max(id) FROM audit), 0) THEN
        RAISE EXCEPTION 'the audit log is shortened from its end';
    END IF;
    INSERT INTO audit (at, actor, how, client, action, subject, site, detail)
        VALUES (NEW.at, '', 'system', '', 'audit.shorten', '', '', 'lines up to number ' || NEW.line || ' are no longer kept');
    RETURN NEW;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_cut_moves_on BEFORE UPDATE ON audit_cut
    FOR EACH ROW EXECUTE FUNCTION audit_cut_moves();
-- +goose StatementBegin
CREATE FUNCTION audit_cut_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is shortened from its end';
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER audit_cut_is_one BEFORE INSERT OR DELETE OR TRUNCATE ON audit_cut
    FOR EACH STATEMENT EXECUTE FUNCTION audit_cut_stays();

-- Who at a provider of OpenID Connect is which user.
CREATE TABLE oidc_links (
    issuer  TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    user_id TEXT   NOT NULL REFERENCES users (id),
    created BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX oidc_links_by_user ON oidc_links (user_id);

-- +goose Down
-- There is no way down: older programs can't read newer data. Restore a copy instead.
SELECT 1;
