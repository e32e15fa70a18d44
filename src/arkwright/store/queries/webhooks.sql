-- Webhooks, how far each has the feed, and what became of each message.

-- name: insert_webhook!
INSERT INTO webhook (id, name, url, organization_id, source, sealed_secret, batch, allow_private, position)
VALUES (:id, :name, :url, :organization_id, :source, :sealed_secret, :batch, :allow_private, :position);

-- name: webhook^
SELECT webhook.*, organization.name AS organization
FROM webhook LEFT JOIN organization ON organization.id = webhook.organization_id
WHERE webhook.id = :reference OR webhook.name = :reference
ORDER BY webhook.id = :reference DESC LIMIT 1;

-- name: webhooks
SELECT webhook.*, organization.name AS organization
FROM webhook LEFT JOIN organization ON organization.id = webhook.organization_id
WHERE webhook.id > :after ORDER BY webhook.id LIMIT :limit;

-- name: active
SELECT id FROM webhook WHERE NOT paused ORDER BY id;

-- name: count_webhooks$
SELECT count(*) FROM webhook;

-- name: set_paused!
-- Resumed, it is tried at once.
UPDATE webhook SET paused = :paused,
    next_attempt_at = CASE WHEN :paused THEN next_attempt_at ELSE now() END,
    failures = CASE WHEN :paused THEN failures ELSE 0 END
WHERE id = :id;

-- name: delete_webhook!
DELETE FROM webhook WHERE id = :id;

-- name: delivered!
-- Compare and set: one row, or somebody else delivers here.
UPDATE webhook SET position = :position, event_id = :event_id::uuid, delivered = delivered + :events, failures = 0,
    next_attempt_at = now(), last_error = ''
WHERE id = :id AND position = :from_position AND event_id = :from_event_id::uuid;

-- name: failed!
UPDATE webhook SET failures = failures + 1, next_attempt_at = now() + :delay_s * interval '1 second', last_error = :error,
    paused = paused OR :pause
WHERE id = :id;

-- name: log_delivery!
INSERT INTO webhook_delivery (webhook_id, message_id, events, status, duration_us, error)
VALUES (:id, :message_id, :events, :status, :duration_us, :error);

-- name: forget_deliveries!
DELETE FROM webhook_delivery WHERE webhook_id = :id AND id <= (
    SELECT id FROM webhook_delivery WHERE webhook_id = :id ORDER BY id DESC OFFSET :keep LIMIT 1
);

-- name: deliveries
SELECT id, message_id, at, events, status, duration_us, error
FROM webhook_delivery WHERE webhook_id = :id ORDER BY id DESC LIMIT :limit;
