-- Alerts, where each stands, and the messages that its crossings made.

-- name: insert_alert!
INSERT INTO alert (id, organization_id, name, kind, currency, threshold, emails, webhook_url, sealed_secret,
                   allow_private, locale, enabled)
VALUES (:id, :organization_id, :name, :kind, :currency, :threshold, :emails, :webhook_url, :sealed_secret,
        :allow_private, :locale, :enabled);

-- name: update_alert!
-- Where it stands begins anew: a threshold that moved has not been crossed yet.
UPDATE alert SET name = :name, threshold = :threshold, emails = :emails, webhook_url = :webhook_url,
    sealed_secret = :sealed_secret, locale = :locale, enabled = :enabled,
    crossed = crossed AND threshold = :threshold AND enabled = :enabled
WHERE id = :id;

-- name: delete_alert!
DELETE FROM alert WHERE id = :id;

-- name: alert^
-- By id, or by its name among those of one owner.
SELECT alert.*, organization.name AS organization,
       coalesce(nullif(alert.locale, ''), billing_profile.locale, 'en') AS told_in
FROM alert
LEFT JOIN organization ON organization.id = alert.organization_id
LEFT JOIN billing_profile ON billing_profile.organization_id = alert.organization_id
WHERE alert.id = :reference
   OR (alert.name = :reference AND coalesce(alert.organization_id, '') = coalesce(:organization_id::text, ''))
ORDER BY alert.id = :reference DESC LIMIT 1;

-- name: alerts
-- `every`: of all owners; otherwise of one organization, or (none named) of the platform.
SELECT alert.*, organization.name AS organization,
       coalesce(nullif(alert.locale, ''), billing_profile.locale, 'en') AS told_in
FROM alert
LEFT JOIN organization ON organization.id = alert.organization_id
LEFT JOIN billing_profile ON billing_profile.organization_id = alert.organization_id
WHERE alert.id > :after
  AND (:every OR alert.organization_id IS NOT DISTINCT FROM :organization_id::text)
  AND (NOT :enabled OR alert.enabled)
ORDER BY alert.id LIMIT :limit;

-- name: count_alerts$
SELECT count(*) FROM alert WHERE organization_id IS NOT DISTINCT FROM :organization_id::text;

-- name: note!
-- Compare and set: nobody else noted this crossing, and the threshold is the one that was looked at.
UPDATE alert SET crossed = :crossed, period = :period, crossings = :crossings, last_value = :value, checked_at = now(),
    crossed_at = CASE WHEN :crossings > crossings THEN now() ELSE crossed_at END
WHERE id = :id AND crossings = :before AND threshold = :threshold;

-- name: unread!
UPDATE alert SET last_value = NULL, checked_at = now() WHERE id = :id;

-- name: insert_message!
INSERT INTO alert_message (id, alert_id, crossing, channel, receiver, content)
VALUES (:id, :alert_id, :crossing, :channel, :receiver, :content::jsonb)
ON CONFLICT (alert_id, crossing, channel, receiver) DO NOTHING;

-- name: due_messages
SELECT message.id, message.alert_id, message.crossing, message.channel, message.receiver, message.content::text AS content,
       message.tries, alert.sealed_secret, alert.allow_private
FROM alert_message AS message JOIN alert ON alert.id = message.alert_id
WHERE message.state = 'waiting' AND message.next_attempt_at <= now()
ORDER BY message.next_attempt_at LIMIT :limit;

-- name: tried!
UPDATE alert_message SET tries = tries + 1, state = :state, last_error = :error,
    sent_at = CASE WHEN :state = 'sent' THEN now() END,
    next_attempt_at = now() + :delay_s * interval '1 second'
WHERE id = :id AND state = 'waiting';

-- name: messages
-- Newest first.
SELECT id, crossing, channel, receiver, state, created_at, sent_at, tries, last_error
FROM alert_message WHERE alert_id = :alert_id ORDER BY created_at DESC, id DESC LIMIT :limit;

-- name: forget_messages!
-- The newest few of an alert are kept; what waits is never forgotten.
DELETE FROM alert_message WHERE alert_id = :alert_id AND state <> 'waiting' AND created_at <= (
    SELECT created_at FROM alert_message WHERE alert_id = :alert_id ORDER BY created_at DESC OFFSET :keep LIMIT 1
);

-- name: budget_spent$
-- What counts against an organization's own budget: charges as they were made.
SELECT coalesce(sum(amount_pico), 0) FROM usage_hourly WHERE organization_id = :organization_id AND hour >= :since;
