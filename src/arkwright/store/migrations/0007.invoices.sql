-- Billing profiles, service charges, rerating, monthly closings, invoices, credit notes, dunning.
-- What an invoice rests on is append-only; dunning and profiles are states, whose history is in the audit log.

CREATE TABLE billing_profile (
    organization_id text PRIMARY KEY REFERENCES organization,
    legal_name      text NOT NULL DEFAULT '' CHECK (length(legal_name) <= 200),
    address         text[] NOT NULL DEFAULT '{}',
    email           text NOT NULL DEFAULT '' CHECK (length(email) <= 254),
    tax_id          text NOT NULL DEFAULT '' CHECK (length(tax_id) <= 60),
    tax_name        text NOT NULL DEFAULT '' CHECK (length(tax_name) <= 60),
    tax_rate_bp     integer NOT NULL DEFAULT 0 CHECK (tax_rate_bp BETWEEN 0 AND 10000),
    terms_days      integer NOT NULL DEFAULT 30 CHECK (terms_days BETWEEN 0 AND 365),
    grace_days      integer NOT NULL DEFAULT 14 CHECK (grace_days BETWEEN 0 AND 365),
    locale          text NOT NULL DEFAULT 'en' CHECK (locale IN ('en', 'zh_CN'))
);

-- Who writes the invoices: one row.
CREATE TABLE invoice_issuer (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    legal_name   text NOT NULL DEFAULT '',
    address      text[] NOT NULL DEFAULT '{}',
    email        text NOT NULL DEFAULT '',
    tax_id       text NOT NULL DEFAULT '',
    payment_info text[] NOT NULL DEFAULT '{}'
);

CREATE TABLE service_charge (
    id                 text PRIMARY KEY,
    organization_id    text NOT NULL REFERENCES organization,
    reference          text NOT NULL,
    organization_class text NOT NULL,         -- Frozen, as on charges.
    industry           text NOT NULL,
    prepaid            boolean NOT NULL,
    layer              text NOT NULL CHECK (layer IN ('iaas', 'paas', 'maas')),
    item               text NOT NULL,
    quantity_micro     numeric(38, 0) NOT NULL CHECK (quantity_micro > 0),
    unit_price_pico    numeric(38, 0) NOT NULL CHECK (unit_price_pico >= 0),
    amount_pico        numeric(38, 0) NOT NULL,
    currency           text NOT NULL,
    memo               text NOT NULL,
    performed_at       timestamptz NOT NULL,
    transaction_id     bigint NOT NULL UNIQUE REFERENCES ledger_transaction,
    created_at         timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, reference),
    CHECK (amount_pico * 1000000 = quantity_micro * unit_price_pico)
);

CREATE TABLE rerate_run (
    id              text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organization,
    model           text NOT NULL,            -- Empty: every model.
    asked           text NOT NULL,            -- Under which price, in words.
    since           timestamptz NOT NULL,
    until           timestamptz NOT NULL,
    correction      boolean NOT NULL,         -- Of closed months, for the next invoice.
    actor           text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- What a charge comes to now = the charge + the sum of its adjustments; its lines are those of the latest one.
CREATE TABLE charge_adjustment (
    id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id               uuid NOT NULL REFERENCES charge,
    organization_id        text NOT NULL,         -- The charge's, as its moment, so that a closing finds them.
    started_at             timestamptz NOT NULL,
    run_id                 text NOT NULL REFERENCES rerate_run,
    price_version          text NOT NULL,
    lines                  jsonb NOT NULL,
    delta_pico             numeric(38, 0) NOT NULL,
    granted_delta_pico     numeric(38, 0) NOT NULL,
    uncollected_delta_pico numeric(38, 0) NOT NULL,
    transaction_id         bigint NOT NULL REFERENCES ledger_transaction,
    UNIQUE (event_id, run_id)
);
CREATE INDEX charge_adjustment_transaction ON charge_adjustment (transaction_id);
CREATE INDEX charge_adjustment_organization ON charge_adjustment (organization_id, started_at);
CREATE INDEX service_charge_organization ON service_charge (organization_id, performed_at);
-- What rerating added to the hour's charges, posted in the transaction of the adjustments.
ALTER TABLE usage_hourly ADD COLUMN adjusted_pico numeric(38, 0) NOT NULL DEFAULT 0;

-- A closing takes what happened before `until` and was posted by transactions up to `watermark`, less what closings
-- before it took. What is posted later belongs to the next one, whenever it happened.
CREATE TABLE period_close (
    organization_id text NOT NULL REFERENCES organization,
    period          text NOT NULL CHECK (period ~ '^[0-9]{4}-[0-9]{2}$'),
    until           timestamptz NOT NULL,
    watermark       bigint NOT NULL,
    actor           text NOT NULL,
    closed_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, until)
);

CREATE TABLE document_number (
    series text NOT NULL CHECK (series IN ('INV', 'CN')),
    year   integer NOT NULL,
    last   integer NOT NULL,
    PRIMARY KEY (series, year)
);

CREATE TABLE invoice (
    number          text PRIMARY KEY,
    organization_id text NOT NULL,
    billing         text NOT NULL CHECK (billing IN ('prepaid', 'postpaid')),
    period          text NOT NULL,
    until           timestamptz NOT NULL,
    issued_at       timestamptz NOT NULL,
    due_at          timestamptz NOT NULL,
    currency        text NOT NULL,
    minor_digits    integer NOT NULL,
    exact_pico      numeric(38, 0) NOT NULL,  -- What its charges moved on the payer's account.
    net_minor       numeric(38, 0) NOT NULL,
    tax_minor       numeric(38, 0) NOT NULL,
    total_minor     numeric(38, 0) NOT NULL,
    document        text NOT NULL,            -- JSON, to the byte what `sha256` is of.
    sha256          bytea NOT NULL,
    transaction_id  bigint UNIQUE REFERENCES ledger_transaction,  -- Tax and rounding; NULL where there are none.
    UNIQUE (organization_id, until, billing),
    FOREIGN KEY (organization_id, until) REFERENCES period_close,
    CHECK (net_minor + tax_minor = total_minor)
);

CREATE TABLE credit_note (
    number          text PRIMARY KEY,
    invoice_number  text NOT NULL REFERENCES invoice,
    organization_id text NOT NULL,
    currency        text NOT NULL,
    amount_minor    numeric(38, 0) NOT NULL CHECK (amount_minor > 0),  -- With its tax.
    tax_minor       numeric(38, 0) NOT NULL,
    reason          text NOT NULL,
    reference       text NOT NULL,
    transaction_id  bigint NOT NULL UNIQUE REFERENCES ledger_transaction,
    created_at      timestamptz NOT NULL,
    UNIQUE (organization_id, reference)
);

CREATE TABLE dunning (
    organization_id text PRIMARY KEY REFERENCES organization,
    state           text NOT NULL CHECK (state IN ('good', 'grace', 'suspended')),
    since           timestamptz NOT NULL,
    reason          text NOT NULL,
    suspend_at      timestamptz,
    checked_at      timestamptz NOT NULL
);

CREATE TRIGGER service_charge_append_only BEFORE UPDATE OR DELETE ON service_charge FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER rerate_run_append_only BEFORE UPDATE OR DELETE ON rerate_run FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER charge_adjustment_append_only BEFORE UPDATE OR DELETE ON charge_adjustment FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER period_close_append_only BEFORE UPDATE OR DELETE ON period_close FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER invoice_append_only BEFORE UPDATE OR DELETE ON invoice FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER credit_note_append_only BEFORE UPDATE OR DELETE ON credit_note FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER dunning_notify AFTER INSERT OR DELETE ON dunning FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
CREATE TRIGGER dunning_changed_notify AFTER UPDATE OF state ON dunning FOR EACH STATEMENT EXECUTE FUNCTION notify_config();

-- What the last checks of the books found, newest kept longest; one row a run.
CREATE TABLE book_check (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    checked_at timestamptz NOT NULL DEFAULT now(),
    ok         boolean NOT NULL,
    findings   jsonb NOT NULL DEFAULT '[]',
    omitted    integer NOT NULL DEFAULT 0
);
