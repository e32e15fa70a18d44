-- How many requests a replica takes at once, as its engine says; 0: not known, no bound.
ALTER TABLE replica ADD COLUMN capacity integer NOT NULL DEFAULT 0 CHECK (capacity >= 0);
-- How long a request waited for a target to have room.
ALTER TABLE charge ADD COLUMN queue_us bigint NOT NULL DEFAULT 0 CHECK (queue_us >= 0);
-- The service tiers that a project's requests may name, beside the default; none: those that the price names.
ALTER TABLE project ADD COLUMN service_tiers text[] NOT NULL DEFAULT '{}';
CREATE TRIGGER project_notify AFTER UPDATE ON project FOR EACH STATEMENT EXECUTE FUNCTION notify_config();
