-- SPDX-License-Identifier: Apache-2.0
-- $1 a ref, a contract's id, or <ns>/<id>: which contracts it may mean, as [ns, contract_id]. Events are asked too: a
-- contract whose events were all refused has no row of its own.
SELECT coalesce(jsonb_agg(jsonb_build_array(ns, contract_id)), '[]')
FROM (SELECT ns, contract_id FROM silver.contract
      WHERE ref = $1 OR contract_id = $1 OR ns || '/' || contract_id = $1
      UNION
      SELECT ns, contract_id FROM silver.event WHERE ref = $1 AND ns IS NOT NULL AND contract_id IS NOT NULL
      LIMIT 5) c
