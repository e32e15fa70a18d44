-- What drains takes no new request, and finishes those it has. A replica may be told so by itself.
ALTER TABLE deployment DROP CONSTRAINT deployment_desired_check;
ALTER TABLE deployment ADD CONSTRAINT deployment_desired_check CHECK (desired IN ('running', 'draining', 'stopped'));
ALTER TABLE replica ADD COLUMN desired text NOT NULL DEFAULT 'running' CHECK (desired IN ('running', 'draining', 'stopped'));
-- A provider that is stopped gets no new request; it serves as before once it is started.
ALTER TABLE provider ADD COLUMN desired text NOT NULL DEFAULT 'running' CHECK (desired IN ('running', 'stopped'));
