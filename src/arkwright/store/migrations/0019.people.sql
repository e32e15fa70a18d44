-- People: what they are on the platform, how they were let in, and from where they look.

ALTER TABLE person ADD COLUMN platform_role text NOT NULL DEFAULT ''
    CHECK (platform_role IN ('', 'operator', 'billing', 'auditor'));
UPDATE person SET platform_role = 'operator' WHERE operator;
ALTER TABLE person DROP COLUMN operator;
-- Null: as the browser asks for.
ALTER TABLE person ADD COLUMN locale text CHECK (locale IN ('en', 'zh_CN'));
ALTER TABLE person ADD COLUMN theme text CHECK (theme IN ('auto', 'light', 'dark'));
-- An empty hash: a person without a password, who signs in by somebody else's account only.
CREATE INDEX person_login_search ON person ((lower(login) COLLATE "C"), id);
CREATE INDEX person_operators ON person (id) WHERE platform_role = 'operator';
CREATE INDEX member_person ON member (person_id);
CREATE INDEX organization_name_search ON organization ((lower(name) COLLATE "C"), id);

-- A session says when and from what it was seen last: a browser and a system in words, no address.
ALTER TABLE console_session ADD COLUMN id text NOT NULL UNIQUE DEFAULT 'ses_' || replace(gen_random_uuid()::text, '-', '');
ALTER TABLE console_session ADD COLUMN device text NOT NULL DEFAULT '' CHECK (length(device) <= 80);
ALTER TABLE console_session ADD COLUMN means text NOT NULL DEFAULT 'password'
    CHECK (means IN ('password', 'invitation', 'oidc'));
ALTER TABLE console_session ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();

-- Reads the console from a shell, as its person; a row is a living token.
CREATE TABLE personal_token (
    id           text PRIMARY KEY,
    person_id    text NOT NULL REFERENCES person,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    token_sha256 bytea NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
    hint         text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz
);
CREATE INDEX personal_token_person ON personal_token (person_id, id);

-- Lets one person in, once: to an organization with a role, or to the platform with one.
CREATE TABLE invitation (
    id              text PRIMARY KEY,
    token_sha256    bytea NOT NULL UNIQUE CHECK (length(token_sha256) = 32),
    organization_id text REFERENCES organization,
    role            text CHECK (role IN ('admin', 'member', 'billing', 'auditor')),
    platform_role   text NOT NULL DEFAULT '' CHECK (platform_role IN ('', 'operator', 'billing', 'auditor')),
    note            text NOT NULL DEFAULT '' CHECK (length(note) <= 254),
    invited_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    used_at         timestamptz,
    used_by         text REFERENCES person,
    revoked_at      timestamptz,
    CHECK ((organization_id IS NULL) = (role IS NULL)),
    CHECK ((organization_id IS NULL) = (platform_role <> '')),
    CHECK ((used_at IS NULL) = (used_by IS NULL)),
    CHECK (used_at IS NULL OR revoked_at IS NULL)
);
CREATE INDEX invitation_organization ON invitation (organization_id, id);

-- Whom an issuer's accounts are here.
CREATE TABLE person_identity (
    issuer     text NOT NULL CHECK (length(issuer) <= 2000),
    subject    text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    person_id  text NOT NULL REFERENCES person,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX person_identity_person ON person_identity (person_id);

-- Who is on the way to an issuer and back; taken away by coming back, once.
CREATE TABLE oidc_attempt (
    browser_sha256    bytea PRIMARY KEY CHECK (length(browser_sha256) = 32),
    state             text NOT NULL,
    nonce             text NOT NULL,
    verifier          text NOT NULL,
    redirect_uri      text NOT NULL CHECK (length(redirect_uri) <= 2000),
    invitation_sha256 bytea,
    expires_at        timestamptz NOT NULL
);
CREATE INDEX oidc_attempt_expiry ON oidc_attempt (expires_at);

-- Whose the changed thing is, from now on; null: the platform's (or what was written before).
ALTER TABLE audit_log ADD COLUMN organization_id text REFERENCES organization;
CREATE INDEX audit_log_organization ON audit_log (organization_id, at, id) WHERE organization_id IS NOT NULL;
CREATE INDEX audit_log_moment ON audit_log (at, id);
CREATE INDEX audit_log_actor ON audit_log (actor, at, id);
CREATE INDEX audit_log_action ON audit_log (action, at, id);
CREATE INDEX audit_log_subject ON audit_log (subject, at, id);
