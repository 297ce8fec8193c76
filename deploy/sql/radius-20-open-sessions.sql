-- SPDX-License-Identifier: Apache-2.0
-- The open sessions of one user are asked for at every change. FreeRADIUS's schema has no index for that question; without one a
-- large radacct is read whole. Apply outside of a transaction (psql -f): the table stays writable while the index is built.
CREATE INDEX CONCURRENTLY IF NOT EXISTS silver_radacct_open ON radacct (username) WHERE acctstoptime IS NULL;
