-- SPDX-License-Identifier: Apache-2.0
-- $1 uid, $2 id of a target, $3 how many exchanges: what the ledger knows of it.
SELECT jsonb_build_object(
    'contracts', (SELECT count(*) FROM silver.record WHERE uid = $1 AND keys <> '[]'),
    'letters', (SELECT count(*) FROM silver.letter l JOIN silver.event e ON e.id = l.event
                WHERE l.state = 'open' AND $2 IN (l.target, e.routing)),
    'log', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'event', x.event, 'run', x.run, 'at', silver.utc(x.at), 'dir', x.dir, 'text', x.text,
                'verdict', x.verdict) ORDER BY x.at, x.seq), '[]')
            FROM (SELECT * FROM silver.exec_log WHERE uid = $1 ORDER BY at DESC, seq DESC LIMIT $3::integer) x))
