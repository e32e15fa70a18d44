-- The cost side: what each attempt at an upstream costs the operator, by versions of costs in the rules of prices, and
-- what machines cost by the hour. What is not known is said to be so: an amount is NULL, never zero by accident.

-- Tries that failed before the one that served, as the journal has them.
ALTER TABLE charge ADD COLUMN attempts jsonb NOT NULL DEFAULT '[]';

-- Tries of requests that were billed nothing, where one may have cost something upstream.
CREATE TABLE void_attempt (
    event_id        uuid NOT NULL,
    number          integer NOT NULL,         -- In the order they were made, from 0.
    organization_id text NOT NULL,
    model           text NOT NULL,
    target          text NOT NULL,
    upstream_model  text NOT NULL,
    at              timestamptz NOT NULL,
    status          integer NOT NULL,
    counts          jsonb NOT NULL,
    unknown         boolean NOT NULL,
    rated           boolean NOT NULL DEFAULT false,  -- Its cost row is there.
    PRIMARY KEY (event_id, number)
);
CREATE INDEX void_attempt_unrated ON void_attempt (event_id) WHERE NOT rated;

CREATE TABLE cost_version (
    id             text PRIMARY KEY,
    target         text NOT NULL CHECK (length(target) BETWEEN 1 AND 120),  -- By name, as charges have it.
    upstream_model text NOT NULL,             -- Empty: a machine's hour, whatever model it serves.
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    rules          jsonb,
    windows        jsonb NOT NULL DEFAULT '{}',
    pico_per_hour  numeric(38, 0) CHECK (pico_per_hour >= 0),
    valid_from     timestamptz NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (target, upstream_model, valid_from),
    CHECK ((rules IS NULL) = (upstream_model = '')),
    CHECK ((pico_per_hour IS NULL) = (upstream_model <> ''))
);
CREATE TRIGGER cost_version_append_only BEFORE UPDATE OR DELETE ON cost_version FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- One row for each attempt; `state` says what is known of its cost:
--   rated      by a version; free       refused or never arrived, which no upstream bills
--   machine    paid by the hour; unpriced   no version holds for it; unknown    nobody said what it used
CREATE TABLE attempt_cost (
    event_id       uuid NOT NULL,
    number         integer NOT NULL,
    served         boolean NOT NULL,          -- The one that answered.
    at             timestamptz NOT NULL,
    organization_id text NOT NULL,
    model          text NOT NULL,
    target         text NOT NULL,
    upstream_model text NOT NULL,
    state          text NOT NULL CHECK (state IN ('rated', 'free', 'machine', 'unpriced', 'unknown')),
    cost_version   text NOT NULL,
    currency       text NOT NULL,             -- Of the cost; empty where there is no amount.
    amount_pico    numeric(38, 0),
    revenue_currency text NOT NULL,           -- Of the charge; empty where there was none.
    revenue_pico   numeric(38, 0) NOT NULL,   -- On the row that served.
    PRIMARY KEY (event_id, number),
    CHECK ((amount_pico IS NULL) = (state IN ('machine', 'unpriced', 'unknown')))
);
CREATE INDEX attempt_cost_unpriced ON attempt_cost (target, upstream_model, at) WHERE state = 'unpriced';

-- The same, added up in the transaction of the rows themselves.
CREATE TABLE cost_hourly (
    hour             timestamptz NOT NULL,
    organization_id  text NOT NULL,
    model            text NOT NULL,
    target           text NOT NULL,
    state            text NOT NULL,
    currency         text NOT NULL,
    revenue_currency text NOT NULL,
    attempts         bigint NOT NULL,
    served           bigint NOT NULL,
    amount_pico      numeric(38, 0) NOT NULL,
    revenue_pico     numeric(38, 0) NOT NULL,
    PRIMARY KEY (hour, organization_id, model, target, state, currency, revenue_currency)
);

-- How far each follower of the charges has come: its work and its place move in one transaction.
CREATE TABLE follower (
    name           text PRIMARY KEY,
    posted_at      timestamptz NOT NULL,
    transaction_id bigint NOT NULL,
    event_id       uuid NOT NULL
);

-- How long replicas ran in each hour. A gap longer than a minute between two looks is counted as not running.
CREATE TABLE machine_hour (
    hour       timestamptz NOT NULL,
    target     text NOT NULL,                 -- The deployment, by name.
    replica_us bigint NOT NULL CHECK (replica_us >= 0),
    PRIMARY KEY (hour, target)
);
CREATE TABLE machine_meter (
    replica_id    text PRIMARY KEY,
    counted_until timestamptz NOT NULL
);
