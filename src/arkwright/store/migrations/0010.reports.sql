-- What the league tables and the reports read: tokens by day, kept by a follower of the ledger; figures of the market.

-- A follower's place is one of the feed's: up to `position`, and of it up to `event_id`.
ALTER TABLE follower DROP COLUMN posted_at, DROP COLUMN transaction_id, ADD COLUMN position bigint NOT NULL;

-- Of every charge: its day, and its tokens once in each dimension. The customer is an organization's id.
CREATE TABLE league_daily (
    dimension text NOT NULL CHECK (dimension IN ('total', 'provider', 'model', 'customer', 'industry', 'modality')),
    day       date NOT NULL,                  -- UTC, in which the request started.
    class     text NOT NULL,
    value     text NOT NULL,
    requests  bigint NOT NULL,
    tokens    bigint NOT NULL,
    PRIMARY KEY (dimension, day, class, value)
);

-- Tokens of text beyond those with a column: of caches written on demand.
CREATE FUNCTION other_text_tokens(counts jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce((counts ->> 'explicit_cached_tokens')::bigint, 0)
         + coalesce((counts ->> 'cache_write_1h_tokens')::bigint, 0)
$$;

-- Reports ask for a period; charges arrive nearly in the order of time, so a few pages of summary find it.
CREATE INDEX charge_started ON charge USING brin (started_at) WITH (pages_per_range = 32);
CREATE INDEX ledger_transaction_posted_at ON ledger_transaction USING brin (posted_at) WITH (pages_per_range = 32);

-- Published figures of others, to stand beside one's own. Amounts are as published; `amount` is in the metric's own unit.
CREATE TABLE market_figure (
    market      text NOT NULL,
    vendor      text NOT NULL,                -- Empty: the whole market.
    metric      text NOT NULL CHECK (metric IN ('tokens', 'daily_tokens', 'revenue')),
    period      text NOT NULL,                -- 2025-H1, 2024, 2025-09 …
    period_from date NOT NULL,
    period_to   date NOT NULL,
    amount_pico numeric(38, 0),               -- Tokens or currency units, times 10^12; NULL where only a share is known.
    unit        text NOT NULL,                -- `token`, or a currency; empty without an amount.
    share_bp    integer CHECK (share_bp BETWEEN 0 AND 10000),
    source      text NOT NULL,
    published   date NOT NULL,
    note        text NOT NULL,
    PRIMARY KEY (market, vendor, metric, period),
    CHECK (amount_pico IS NOT NULL OR share_bp IS NOT NULL)
);
