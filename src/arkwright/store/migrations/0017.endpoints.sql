-- Endpoints: what customers call instead of a model, with a route, a guard and fallbacks of its own.

CREATE TABLE endpoint (
    id              text PRIMARY KEY CHECK (id ~ '^ep-[0-9]{14}-[a-z0-9]{5}$'),
    organization_id text REFERENCES organization,           -- NULL: the platform's.
    name            text NOT NULL,
    model_id        text NOT NULL REFERENCES model,
    organizations   text[] NOT NULL DEFAULT '{}',           -- Whom one of the platform is for, by id; none: all.
    state           text NOT NULL CHECK (state IN ('running', 'stopped')),
    members         jsonb NOT NULL DEFAULT '[]',
    mirror          jsonb,
    fallbacks       jsonb NOT NULL DEFAULT '[]',
    guard           jsonb NOT NULL DEFAULT '{}',
    region          text NOT NULL DEFAULT '',
    hedged          boolean NOT NULL DEFAULT false,
    sticky          boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (organization_id IS NULL OR organizations = '{}')
);
CREATE UNIQUE INDEX endpoint_name ON endpoint (coalesce(organization_id, ''), name);
CREATE INDEX endpoint_model ON endpoint (model_id);
CREATE TRIGGER endpoint_notify AFTER INSERT OR UPDATE OR DELETE ON endpoint FOR EACH STATEMENT EXECUTE FUNCTION notify_config();

-- Which one was called, if one was. Only those charges are in the index, so that the others pay nothing for it.
ALTER TABLE charge ADD COLUMN endpoint_id text NOT NULL DEFAULT '';
CREATE INDEX charge_endpoint ON charge (endpoint_id, started_at) WHERE endpoint_id <> '';
