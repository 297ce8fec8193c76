-- SPDX-License-Identifier: Apache-2.0
-- $1 event id: the whole event with its runs, transcript and letters.
SELECT silver.event_document(e) || jsonb_build_object(
    'targets', coalesce(nullif(r.result->'targets', 'null'), '[]'),
    'reality', r.result->'reality', 'truncated', r.result->'truncated', 'trace', r.result->'trace',
    'path', r.result->'path', 'rule', r.result->'rule',
    'runs', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'run', n.run, 'state', n.state, 'outcome', n.outcome, 'worker', n.worker, 'epoch', n.epoch,
                 'started', silver.utc(n.started_at), 'finished', silver.utc(n.finished_at)) ORDER BY n.run), '[]')
             FROM silver.run n WHERE n.event = e.id),
    'log', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'run', x.run, 'seq', x.seq, 'at', silver.utc(x.at), 'target', x.target, 'dir', x.dir, 'text', x.text,
                'verdict', x.verdict) ORDER BY x.run, x.seq), '[]')
            FROM (SELECT * FROM silver.exec_log WHERE event = e.id ORDER BY run, seq LIMIT 5000) x),
    'letters', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'replay', l.replay, 'code', l.code, 'args', l.args, 'target', l.target, 'state', l.state,
                    'died_at', silver.utc(l.died_at)) ORDER BY l.replay), '[]')
                FROM silver.letter l WHERE l.event = e.id))
FROM silver.event e
LEFT JOIN silver.run r ON (r.event, r.run) = (e.id, e.run)
WHERE e.id = $1::uuid
