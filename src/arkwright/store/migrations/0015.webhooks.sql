-- Webhooks that receive usage events, how far each has them, and its last deliveries.

CREATE TABLE webhook (
    id              text PRIMARY KEY,
    name            text NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
    url             text NOT NULL CHECK (length(url) <= 2000),
    organization_id text REFERENCES organization,       -- NULL: the events of every organization.
    source          text NOT NULL,                      -- Of CloudEvents: (source, id) is unique.
    sealed_secret   bytea NOT NULL,
    batch           integer NOT NULL CHECK (batch BETWEEN 1 AND 500),  -- 1: one event a message, in structured mode.
    allow_private   boolean NOT NULL,                   -- May be an address of the operator's own network.
    paused          boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Everything up to this place of the feed has been delivered. Moves with each delivery, and only forward.
    position        bigint NOT NULL,
    event_id        uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    delivered       bigint NOT NULL DEFAULT 0,          -- Events.
    failures        integer NOT NULL DEFAULT 0,         -- In a row.
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text NOT NULL DEFAULT ''
);

-- The newest few of each webhook.
CREATE TABLE webhook_delivery (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id   text NOT NULL REFERENCES webhook ON DELETE CASCADE,
    message_id   text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    events       integer NOT NULL,
    status       integer NOT NULL,                      -- 0: there was no answer.
    duration_us  bigint NOT NULL,
    error        text NOT NULL
);
CREATE INDEX webhook_delivery_webhook ON webhook_delivery (webhook_id, id);
