-- SPDX-License-Identifier: Apache-2.0
-- $1 beginning of an id (null: none), $2 a contract's ref (null: any): ids of events, newest first, at most $3.
SELECT coalesce(jsonb_agg(id), '[]')
FROM (SELECT id FROM silver.event
      WHERE ($1::text IS NULL OR id::text LIKE $1 || '%') AND ($2::text IS NULL OR ref = $2)
      ORDER BY recorded_at DESC, id LIMIT $3::integer) e
