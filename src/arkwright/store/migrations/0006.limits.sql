-- Limits: how much of what may pass in a minute, at once, in a day and in a month.

-- Numbers the rows of the hosts' limit words: for limits, and for whatever else is counted there.
CREATE SEQUENCE limit_row AS integer MINVALUE 0 START WITH 0;

CREATE TABLE usage_limit (
    id                  text PRIMARY KEY,
    organization_id     text NOT NULL REFERENCES organization,
    row                 integer NOT NULL UNIQUE DEFAULT nextval('limit_row'),
    scope               text NOT NULL CHECK (scope IN ('organization', 'project', 'key', 'endpoint', 'model')),
    subject             text NOT NULL CHECK ((scope = 'organization') = (subject = '')),
    requests_per_minute bigint CHECK (requests_per_minute > 0),
    tokens_per_minute   bigint CHECK (tokens_per_minute > 0),
    concurrent_requests bigint CHECK (concurrent_requests > 0),
    budget_daily_pico   numeric(38, 0) CHECK (budget_daily_pico > 0),
    budget_monthly_pico numeric(38, 0) CHECK (budget_monthly_pico > 0),
    created_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, scope, subject),
    CHECK (num_nonnulls(requests_per_minute, tokens_per_minute, concurrent_requests, budget_daily_pico,
                        budget_monthly_pico) > 0)
);

CREATE TRIGGER usage_limit_notify AFTER INSERT OR UPDATE OR DELETE ON usage_limit FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
