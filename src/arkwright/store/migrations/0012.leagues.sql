-- Each charge as the league tables count it: its day, and its tokens once in each dimension. The one definition, for the
-- roll-up, for what the roll-up does not have yet, and for the audit that compares the two.
CREATE VIEW league_charge AS
SELECT charge.transaction_id, charge.incarnation, charge.started_at, (charge.started_at AT TIME ZONE 'UTC')::date AS day,
    charge.organization_class AS class, told.dimension, told.value, told.tokens
FROM charge
CROSS JOIN LATERAL (
    SELECT charge.input_tokens + charge.cached_input_tokens + charge.cache_write_tokens + charge.output_tokens
               + charge.reasoning_tokens
               + CASE WHEN charge.other_counts = '{}' THEN 0 ELSE other_text_tokens(charge.other_counts) END AS text,
           CASE WHEN charge.other_counts = '{}' THEN 0 ELSE modality_tokens(charge.other_counts, 'image') END AS image,
           CASE WHEN charge.other_counts = '{}' THEN 0 ELSE modality_tokens(charge.other_counts, 'audio') END AS audio,
           CASE WHEN charge.other_counts = '{}' THEN 0 ELSE modality_tokens(charge.other_counts, 'video') END AS video
) AS counted
CROSS JOIN LATERAL (VALUES
    ('total', '', text + image + audio + video),
    ('provider', charge.target, text + image + audio + video),
    ('model', charge.model, text + image + audio + video),
    ('customer', charge.organization_id, text + image + audio + video),
    ('industry', charge.industry, text + image + audio + video),
    ('modality', 'text', text),
    ('modality', 'image', image),
    ('modality', 'audio', audio),
    ('modality', 'video', video)
) AS told (dimension, value, tokens)
WHERE told.dimension <> 'modality' OR told.tokens > 0;
