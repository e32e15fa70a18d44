-- Discounts of accounts, each from a moment on; and prices that are being prepared.

CREATE TABLE discount (
    id              text PRIMARY KEY,
    organization_id text NOT NULL REFERENCES organization,
    model           text NOT NULL DEFAULT '', -- By name, as in price_version; empty: every model without one of its own.
    basis_points    integer CHECK (basis_points BETWEEN 0 AND 10000), -- NULL: ended, there is none of its own any more.
    valid_from      timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, model, valid_from)
);

CREATE TRIGGER discount_append_only BEFORE UPDATE OR DELETE ON discount FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER discount_notify AFTER INSERT ON discount FOR EACH STATEMENT EXECUTE FUNCTION notify_config();

CREATE TABLE price_draft (
    id            text PRIMARY KEY,
    model         text NOT NULL,
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rules         jsonb NOT NULL,
    windows       jsonb NOT NULL DEFAULT '{}',
    origin        text NOT NULL DEFAULT '',   -- A book's name, or where else it came from, for people.
    actor         text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    price_version text UNIQUE REFERENCES price_version, -- What it became; it is never anything else.
    activated_at  timestamptz,
    CHECK ((price_version IS NULL) = (activated_at IS NULL))
);
CREATE INDEX price_draft_model ON price_draft (model, id);
