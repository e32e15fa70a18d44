-- What a period's roll-ups say of one model's charges, to try another price on them.

-- name: rolled_up
-- By customer. Where all of its requests are plain, the five counts are all that a price without conditions asks for.
SELECT organization_id, sum(requests)::bigint AS requests, sum(plain_requests)::bigint AS plain_requests,
       sum(input_tokens)::bigint AS input_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens,
       sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(output_tokens)::bigint AS output_tokens,
       sum(reasoning_tokens)::bigint AS reasoning_tokens, sum(amount_pico + adjusted_pico) AS amount_pico
FROM usage_hourly
WHERE model = :model AND currency = :currency AND hour >= :since AND hour < :until
  AND (:organization_id::text IS NULL OR organization_id = :organization_id::text)
GROUP BY organization_id ORDER BY organization_id;
