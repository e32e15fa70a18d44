-- How far each follower of the charges has come.

-- name: begin!
INSERT INTO follower (name, position, event_id) VALUES (:name, 0, '00000000-0000-0000-0000-000000000000')
ON CONFLICT (name) DO NOTHING;

-- name: begin_at!
INSERT INTO follower (name, position, event_id) VALUES (:name, :position, :event_id::uuid) ON CONFLICT (name) DO NOTHING;

-- name: lock^
-- Whoever holds the row works; another waits, and then finds the place moved.
SELECT position, replace(event_id::text, '-', '') AS event_id FROM follower WHERE name = :name FOR UPDATE;

-- name: move!
UPDATE follower SET position = :position, event_id = :event_id::uuid WHERE name = :name;
