-- How many requests a replica takes at once, as its engine says; 0: not known, no bound.
ALTER TABLE replica ADD COLUMN capacity integer NOT NULL DEFAULT 0 CHECK (capacity >= 0);
-- How long a request waited for a target to have room.
ALTER TABLE charge ADD COLUMN queue_us bigint NOT NULL DEFAULT 0 CHECK (queue_us >= 0);
