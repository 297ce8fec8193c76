-- SPDX-License-Identifier: Apache-2.0
-- The ledger's database and roles, once, by an administrator of PostgreSQL:
--
--     createdb silver
--     psql -d silver -v ledger_password=... -v reader_password=... -f ledger-roles.sql
--
-- silver_ledger owns what is in the schema `silver` and makes its tables by itself (silverd, role ledger). silver_reader is
-- for silverctl and reports: it sees everything, and writes nothing.
\set ON_ERROR_STOP on
BEGIN;
CREATE ROLE silver_ledger LOGIN PASSWORD :'ledger_password';
CREATE ROLE silver_reader LOGIN PASSWORD :'reader_password';
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO silver_ledger', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO silver_reader', current_database()) \gexec
ALTER ROLE silver_reader SET default_transaction_read_only = on;
COMMIT;
