-- What was spent, by the hour, from the roll-up of spending.

-- name: hours
-- By hour and currency, of one organization or of all.
SELECT hour, currency, sum(used_pico) AS used_pico, sum(services_pico) AS services_pico
FROM spend_hourly
WHERE (:organization_id::text IS NULL OR organization_id = :organization_id::text)
  AND hour >= :since AND hour < :until
GROUP BY hour, currency ORDER BY hour, currency;
