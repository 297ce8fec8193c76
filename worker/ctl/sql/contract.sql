-- SPDX-License-Identifier: Apache-2.0
-- $1 ns, $2 contract id, $3 how many events: the contract, what each target has of it, its newest events.
SELECT jsonb_build_object(
    'ns', $1::text, 'contract_id', $2::text, 'username', silver.username($1, $2), 'generation', c.generation,
    'newest', c.event, 'wanted', c.wanted,
    'ref', coalesce((SELECT ref FROM silver.event WHERE (ns, contract_id) = ($1, $2) AND ref <> ''
                     ORDER BY recorded_at DESC LIMIT 1), ''),
    'targets', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'target', r.target, 'uid', r.uid, 'generation', r.generation, 'keys', r.keys, 'outcome', r.outcome,
                    'evidence', r.evidence, 'holds', r.holds, 'reality', r.reality, 'event', r.event,
                    'at', silver.utc(r.at)) ORDER BY r.target), '[]')
                FROM silver.record r WHERE (r.ns, r.contract_id) = ($1, $2)),
    'events', (SELECT coalesce(jsonb_agg(silver.event_document(e)
                   ORDER BY coalesce(e.published_at, e.recorded_at) DESC, e.generation DESC, e.id), '[]')
               FROM (SELECT * FROM silver.event WHERE (ns, contract_id) = ($1, $2)
                     ORDER BY coalesce(published_at, recorded_at) DESC, generation DESC, id LIMIT $3::integer) e))
FROM (SELECT 1) one
LEFT JOIN silver.contract c ON (c.ns, c.contract_id) = ($1, $2)
