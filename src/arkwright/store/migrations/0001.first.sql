-- The first schema: tenancy, catalog, prices, ledger, charges, leases, journal positions, audit log.
-- Money is NUMERIC(38,0) pico (10^-12 of the currency unit). Nothing here is ever updated that an auditor relies on:
-- price_version, ledger_transaction, ledger_entry, charge and audit_log are append-only (a trigger refuses the rest).

CREATE TABLE organization (
    id          text PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
    class       text NOT NULL CHECK (class IN ('external', 'internal', 'test')),
    industry    text NOT NULL DEFAULT '' CHECK (length(industry) <= 120),
    billing     text NOT NULL CHECK (billing IN ('prepaid', 'postpaid')),
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    lease_row   integer GENERATED ALWAYS AS IDENTITY (START WITH 0 MINVALUE 0) UNIQUE,
    disabled    boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE project (
    id              text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organization,
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, name)
);

CREATE TABLE person (
    id            text PRIMARY KEY,
    login         text NOT NULL UNIQUE CHECK (length(login) BETWEEN 1 AND 254),
    password_hash text NOT NULL,              -- argon2id
    operator      boolean NOT NULL DEFAULT false,
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE member (
    organization_id text NOT NULL REFERENCES organization,
    person_id       text NOT NULL REFERENCES person,
    role            text NOT NULL CHECK (role IN ('admin', 'member', 'billing', 'auditor')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, person_id)
);

CREATE TABLE api_key (
    id              text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organization,
    project_id      text NOT NULL REFERENCES project,
    name            text NOT NULL DEFAULT '' CHECK (length(name) <= 120),
    secret_sha256   bytea NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
    hint            text NOT NULL,            -- The last four characters, so that a person can tell keys apart.
    models          text[] NOT NULL DEFAULT '{}',
    expires_at      timestamptz,
    disabled        boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_key_organization ON api_key (organization_id, id);

CREATE TABLE admin_key (
    id            text PRIMARY KEY,
    name          text NOT NULL,
    secret_sha256 bytea NOT NULL UNIQUE CHECK (length(secret_sha256) = 32),
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE provider (
    id         text PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
    kind       text NOT NULL,
    base_url   text NOT NULL CHECK (length(base_url) <= 2000),
    sealed_key bytea NOT NULL DEFAULT '',
    options    jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE deployment (
    id         text PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
    engine     text NOT NULL,
    source     text NOT NULL,                 -- A name in the model list, or a source such as file:/x.gguf.
    options    jsonb NOT NULL DEFAULT '{}',
    desired    text NOT NULL DEFAULT 'running' CHECK (desired IN ('running', 'stopped')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE replica (
    id            text PRIMARY KEY,
    deployment_id text NOT NULL REFERENCES deployment ON DELETE CASCADE,
    host          text NOT NULL,
    url           text NOT NULL,
    sealed_key    bytea NOT NULL DEFAULT '',
    state         text NOT NULL DEFAULT 'starting' CHECK (state IN ('starting', 'ready', 'failed', 'stopped')),
    last_error    text NOT NULL DEFAULT '',
    observed_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE model (
    id                text PRIMARY KEY,
    name              text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
    kind              text NOT NULL CHECK (kind IN ('chat', 'embedding')),
    provider_id       text REFERENCES provider,
    deployment_id     text REFERENCES deployment,
    upstream_name     text NOT NULL,
    context_tokens    integer NOT NULL CHECK (context_tokens > 0),
    max_output_tokens integer CHECK (max_output_tokens > 0),
    created_at        timestamptz NOT NULL DEFAULT now(),
    CHECK ((provider_id IS NULL) <> (deployment_id IS NULL))
);

CREATE TABLE price_version (
    id         text PRIMARY KEY,
    model      text NOT NULL,                 -- By name: a price outlives the model's row.
    currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    tiers      jsonb NOT NULL,
    valid_from timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (model, currency, valid_from)
);

CREATE TABLE ledger_account (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organization,
    kind            text NOT NULL,
    currency        text NOT NULL,
    balance_pico    numeric(38, 0) NOT NULL DEFAULT 0,
    UNIQUE (organization_id, kind, currency),
    CHECK (kind <> 'prepaid' OR balance_pico >= 0)
);

CREATE TABLE ledger_transaction (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference       text NOT NULL UNIQUE,
    kind            text NOT NULL,
    organization_id text NOT NULL REFERENCES organization,
    currency        text NOT NULL,
    memo            text NOT NULL DEFAULT '',
    posted_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_transaction_organization ON ledger_transaction (organization_id, id);

CREATE TABLE ledger_entry (
    transaction_id bigint NOT NULL REFERENCES ledger_transaction,
    account_id     bigint NOT NULL REFERENCES ledger_account,
    amount_pico    numeric(38, 0) NOT NULL,   -- Credit positive, debit negative; a transaction sums to zero.
    PRIMARY KEY (transaction_id, account_id)
);
CREATE INDEX ledger_entry_account ON ledger_entry (account_id, transaction_id);

CREATE TABLE charge (
    event_id            uuid PRIMARY KEY,     -- The dedupe: one request is charged once, for ever.
    organization_id     text NOT NULL,
    organization_class  text NOT NULL,
    industry            text NOT NULL,
    prepaid             boolean NOT NULL,
    project_id          text NOT NULL,
    key_id              text NOT NULL,
    endpoint            text NOT NULL,
    model               text NOT NULL,
    target              text NOT NULL,
    upstream_model      text NOT NULL,
    upstream_request_id text NOT NULL,
    streamed            boolean NOT NULL,
    status              integer NOT NULL,
    finish              text NOT NULL,
    started_at          timestamptz NOT NULL,
    ended_at            timestamptz NOT NULL,
    ttft_us             bigint,
    input_tokens        bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens  bigint NOT NULL,
    output_tokens       bigint NOT NULL,
    reasoning_tokens    bigint NOT NULL,
    usage_source        text NOT NULL,
    currency            text NOT NULL,
    price_version       text NOT NULL,
    lines               jsonb NOT NULL,
    amount_pico         numeric(38, 0) NOT NULL CHECK (amount_pico >= 0),
    uncollected_pico    numeric(38, 0) NOT NULL CHECK (uncollected_pico BETWEEN 0 AND amount_pico),
    incarnation         text NOT NULL,        -- Where the journal has it.
    sequence            bigint NOT NULL,
    transaction_id      bigint NOT NULL REFERENCES ledger_transaction,
    UNIQUE (incarnation, sequence)            -- One record, one charge; and the order an audit compares them in.
);
CREATE INDEX charge_transaction ON charge (transaction_id);
CREATE INDEX charge_organization ON charge (organization_id, started_at, event_id);

CREATE TABLE usage_hourly (
    hour                timestamptz NOT NULL,
    organization_id     text NOT NULL,
    organization_class  text NOT NULL,
    project_id          text NOT NULL,
    key_id              text NOT NULL,
    model               text NOT NULL,
    target              text NOT NULL,
    currency            text NOT NULL,
    usage_source        text NOT NULL,
    requests            bigint NOT NULL,
    input_tokens        bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_tokens  bigint NOT NULL,
    output_tokens       bigint NOT NULL,
    reasoning_tokens    bigint NOT NULL,
    amount_pico         numeric(38, 0) NOT NULL,
    PRIMARY KEY (organization_id, hour, project_id, key_id, model, target, currency, usage_source, organization_class)
);

-- One row per life of a gateway worker; closed once it is dead and everything it wrote is in the ledger.
CREATE TABLE journal_writer (
    incarnation text PRIMARY KEY,
    host        text NOT NULL,
    slot        integer NOT NULL,
    opened_at   timestamptz NOT NULL,
    closed_at   timestamptz
);

CREATE TABLE journal_segment (
    incarnation      text NOT NULL REFERENCES journal_writer,
    segment          integer NOT NULL,
    settled_offset   bigint NOT NULL,         -- Bytes of the segment that the ledger has.
    settled_sequence bigint NOT NULL,
    head_hash        bytea NOT NULL,          -- Chain hash at that offset: a rewritten journal no longer reaches it.
    PRIMARY KEY (incarnation, segment)
);

CREATE TABLE lease (
    host            text NOT NULL,
    organization_id text NOT NULL REFERENCES organization,
    granted_pico    numeric(38, 0) NOT NULL,
    posted_pico     numeric(38, 0) NOT NULL,  -- By all writers of this host.
    closed_pico     numeric(38, 0) NOT NULL,  -- By its closed writers: ceiling = granted − closed.
    PRIMARY KEY (host, organization_id),
    CHECK (0 <= closed_pico AND closed_pico <= posted_pico AND posted_pico <= granted_pico)
);

CREATE TABLE lease_posted (
    incarnation     text NOT NULL REFERENCES journal_writer,
    organization_id text NOT NULL REFERENCES organization,
    posted_pico     numeric(38, 0) NOT NULL,
    PRIMARY KEY (incarnation, organization_id)
);

CREATE TABLE audit_log (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    before  jsonb,
    after   jsonb
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: corrections are new rows', TG_TABLE_NAME;
END $$;

CREATE TRIGGER price_version_append_only BEFORE UPDATE OR DELETE ON price_version FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_transaction_append_only BEFORE UPDATE OR DELETE ON ledger_transaction FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE ON ledger_entry FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charge_append_only BEFORE UPDATE OR DELETE ON charge FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Gateways hear of a change within a second: every table a snapshot is built from notifies.
CREATE FUNCTION notify_config() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('arkwright_config', TG_TABLE_NAME);
    RETURN NULL;
END $$;

CREATE TRIGGER organization_notify AFTER INSERT OR UPDATE OR DELETE ON organization FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER api_key_notify AFTER INSERT OR UPDATE OR DELETE ON api_key FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER provider_notify AFTER INSERT OR UPDATE OR DELETE ON provider FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER deployment_notify AFTER INSERT OR UPDATE OR DELETE ON deployment FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER replica_notify AFTER INSERT OR UPDATE OR DELETE ON replica FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER model_notify AFTER INSERT OR UPDATE OR DELETE ON model FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER price_version_notify AFTER INSERT ON price_version FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
