-- SPDX-License-Identifier: Apache-2.0
-- $1 cause or null, $2 device or null, $3 how many: open dead letters, newest first, and how many there are in all.
WITH open AS (
    SELECT l.*, e.ref, e.type, e.routing, e.generation, e.attempt, e.ns, e.contract_id
    FROM silver.letter l JOIN silver.event e ON e.id = l.event
    WHERE l.state = 'open' AND ($1::text IS NULL OR l.code = $1) AND ($2::text IS NULL OR $2 IN (e.routing, l.target)))
SELECT jsonb_build_object(
    'count', (SELECT count(*) FROM open),
    'letters', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'event', o.event, 'replay', o.replay, 'code', o.code, 'args', o.args, 'target', o.target,
                    'driver', o.driver, 'state', o.state, 'died_at', silver.utc(o.died_at), 'ref', o.ref,
                    'type', o.type, 'device', o.routing, 'generation', o.generation, 'attempt', o.attempt,
                    'username', silver.username(o.ns, o.contract_id)) ORDER BY o.died_at DESC, o.event), '[]')
                FROM (SELECT * FROM open ORDER BY died_at DESC, event LIMIT $3::integer) o))
