-- SPDX-License-Identifier: Apache-2.0
-- Open dead letters by cause and driver, the largest group first.
WITH open AS (
    SELECT l.*, coalesce(nullif(l.target, ''), e.routing) AS device
    FROM silver.letter l JOIN silver.event e ON e.id = l.event WHERE l.state = 'open'),
groups AS (
    SELECT code, driver, count(*) AS n, array_agg(DISTINCT device ORDER BY device) AS devices, min(died_at) AS first,
           max(died_at) AS last, (array_agg(event ORDER BY died_at DESC))[1] AS newest,
           (array_agg(args ORDER BY died_at DESC))[1] AS args
    FROM open GROUP BY code, driver)
SELECT jsonb_build_object(
    'count', (SELECT count(*) FROM open),
    'groups', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                   'code', g.code, 'driver', g.driver, 'count', g.n, 'devices', g.devices, 'first', silver.utc(g.first),
                   'last', silver.utc(g.last), 'newest', g.newest, 'args', g.args) ORDER BY g.n DESC, g.code), '[]')
               FROM groups g))
