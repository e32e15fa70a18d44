-- What each organization spent in each hour, for forecasts, pages and alerts: one row where `usage_hourly` has one for
-- each key, model and target. The database keeps it itself, in the transaction that charges, rerates or serves.
CREATE TABLE spend_hourly (
    organization_id text NOT NULL,
    hour            timestamptz NOT NULL,
    currency        text NOT NULL,
    used_pico       numeric(38, 0) NOT NULL DEFAULT 0,  -- Model calls, with what rerating changed.
    services_pico   numeric(38, 0) NOT NULL DEFAULT 0,
    PRIMARY KEY (organization_id, hour, currency)
);
CREATE INDEX spend_hourly_hour ON spend_hourly (hour);

INSERT INTO spend_hourly (organization_id, hour, currency, used_pico, services_pico)
SELECT organization_id, hour, currency, sum(used), sum(services)
FROM (
    SELECT organization_id, hour, currency, amount_pico + adjusted_pico AS used, 0::numeric AS services FROM usage_hourly
    UNION ALL
    SELECT organization_id, date_trunc('hour', performed_at, 'UTC'), currency, 0, amount_pico FROM service_charge
) AS spent
GROUP BY 1, 2, 3;

CREATE FUNCTION spend_charged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spend_hourly (organization_id, hour, currency, used_pico)
    SELECT organization_id, hour, currency, sum(amount_pico + adjusted_pico) FROM added GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (organization_id, hour, currency) DO UPDATE
        SET used_pico = spend_hourly.used_pico + excluded.used_pico;
    RETURN NULL;
END $$;

CREATE FUNCTION spend_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spend_hourly (organization_id, hour, currency, used_pico)
    SELECT organization_id, hour, currency, sum(pico)
    FROM (
        SELECT organization_id, hour, currency, amount_pico + adjusted_pico AS pico FROM after_it
        UNION ALL
        SELECT organization_id, hour, currency, -(amount_pico + adjusted_pico) FROM before_it
    ) AS moved
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (organization_id, hour, currency) DO UPDATE
        SET used_pico = spend_hourly.used_pico + excluded.used_pico;
    RETURN NULL;
END $$;

CREATE FUNCTION spend_served() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO spend_hourly (organization_id, hour, currency, services_pico)
    SELECT organization_id, date_trunc('hour', performed_at, 'UTC'), currency, sum(amount_pico)
    FROM added GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (organization_id, hour, currency) DO UPDATE
        SET services_pico = spend_hourly.services_pico + excluded.services_pico;
    RETURN NULL;
END $$;

CREATE TRIGGER usage_hourly_added AFTER INSERT ON usage_hourly
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION spend_charged();
CREATE TRIGGER usage_hourly_changed AFTER UPDATE ON usage_hourly
    REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it FOR EACH STATEMENT EXECUTE FUNCTION spend_changed();
CREATE TRIGGER service_charge_added AFTER INSERT ON service_charge
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION spend_served();

-- Alerts: thresholds on money, and what each crossing of one had to tell.
CREATE TABLE alert (
    id              text PRIMARY KEY,
    organization_id text REFERENCES organization,       -- NULL: of the platform, over all organizations.
    name            text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    kind            text NOT NULL CHECK (kind IN ('balance', 'spend_day', 'spend_month', 'forecast', 'budget_day', 'budget_month')),
    currency        text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    threshold       numeric(38, 0) NOT NULL CHECK (threshold >= 0),  -- Pico; of a budget basis points.
    emails          text[] NOT NULL DEFAULT '{}',
    webhook_url     text NOT NULL DEFAULT '' CHECK (length(webhook_url) <= 2000),
    sealed_secret   bytea NOT NULL DEFAULT '',
    allow_private   boolean NOT NULL DEFAULT false,
    locale          text NOT NULL DEFAULT '' CHECK (locale IN ('', 'en', 'zh_CN')),  -- Empty: the organization's.
    enabled         boolean NOT NULL DEFAULT true,
    created_at      timestamptz NOT NULL DEFAULT now(),
    -- Where it stands: what it last read, and whether it has told of the crossing that it is beyond.
    crossed         boolean NOT NULL DEFAULT false,
    period          text NOT NULL DEFAULT '',           -- The day or month that `crossed` is of; empty for a balance.
    crossings       bigint NOT NULL DEFAULT 0,
    last_value      numeric(38, 0),                     -- NULL: nothing could be read yet.
    checked_at      timestamptz,
    crossed_at      timestamptz
);
CREATE UNIQUE INDEX alert_name ON alert (coalesce(organization_id, ''), name);
CREATE INDEX alert_organization ON alert (organization_id, id);

-- One message to one receiver. It is written in the transaction that notes the crossing, and stays until it is sent.
CREATE TABLE alert_message (
    id              text PRIMARY KEY,                    -- What a receiver tells repeats by.
    alert_id        text NOT NULL REFERENCES alert ON DELETE CASCADE,
    crossing        bigint NOT NULL,
    channel         text NOT NULL CHECK (channel IN ('mail', 'webhook')),
    receiver        text NOT NULL,                       -- An address or a URL, as it was then.
    content         jsonb NOT NULL,
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    sent_at         timestamptz,
    tries           integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text NOT NULL DEFAULT '',
    UNIQUE (alert_id, crossing, channel, receiver)
);
CREATE INDEX alert_message_waiting ON alert_message (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX alert_message_alert ON alert_message (alert_id, created_at);
