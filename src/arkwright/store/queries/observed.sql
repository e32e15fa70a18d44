-- What is told to those who watch the platform: sums of new charges, and how far behind each follower is.

-- name: charges_after
-- By the journals of one host, so that the sums of several hosts add up.
SELECT charge.model, charge.currency, charge.usage_source, count(*) AS charges, sum(charge.amount_pico) AS amount_pico,
       sum(charge.input_tokens)::bigint AS input_tokens, sum(charge.cached_input_tokens)::bigint AS cached_input_tokens,
       sum(charge.cache_write_tokens)::bigint AS cache_write_tokens, sum(charge.output_tokens)::bigint AS output_tokens,
       sum(charge.reasoning_tokens)::bigint AS reasoning_tokens
FROM ledger_place AS place
JOIN charge ON charge.transaction_id = place.transaction_id
JOIN journal_writer AS writer ON writer.incarnation = charge.incarnation AND writer.host = :host
WHERE place.position > :above AND place.position <= :upto
GROUP BY 1, 2, 3;

-- name: followers
SELECT name, position FROM follower
UNION ALL
SELECT 'webhook ' || name, position FROM webhook WHERE NOT paused;

-- name: failures
SELECT name, failures FROM webhook ORDER BY name;

-- name: last_root$
SELECT coalesce(max(number), 0) FROM proof_root;

-- name: settled_bytes
-- The newest segment that is known of each open journal.
SELECT DISTINCT ON (incarnation) incarnation, segment, settled_offset
FROM journal_segment JOIN journal_writer AS writer USING (incarnation)
WHERE writer.host = :host AND writer.closed_at IS NULL
ORDER BY incarnation, segment DESC;
