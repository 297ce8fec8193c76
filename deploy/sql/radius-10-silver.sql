-- SPDX-License-Identifier: Apache-2.0
-- What silver-netops adds to a FreeRADIUS database on PostgreSQL. Apply as the owner of FreeRADIUS's tables (or a superuser), after
-- FreeRADIUS's own schema.sql:
--
--     psql -X -v ON_ERROR_STOP=1 -d radius -f radius-10-silver.sql
--     psql -X -d radius -c "ALTER ROLE silver_worker LOGIN PASSWORD '…'"     -- or GRANT silver_worker TO a role that logs in
--
-- May be applied again at any time. `silverctl check-config` asks the view silver_check at the end of this file.
-- Why each thing is needed: docs/protocols/freeradius-sql.md.
BEGIN;

-- One row per contract: the fence. A change of RADIUS rows begins with raising `generation` here and is refused when a newer
-- generation has been written meanwhile, by whomever. Rows are never deleted: the generation of a terminated contract stands.
CREATE TABLE IF NOT EXISTS silver_fence (
    contract   text        PRIMARY KEY,          -- <system>/<database>/<contract id>
    generation bigint      NOT NULL,
    rev        text        NOT NULL,             -- keyed hash of the service that was written
    username   text        UNIQUE,               -- the user that this contract holds; NULL = none
    changed_at timestamptz NOT NULL DEFAULT now(), -- a session that began before this may have been given older values
    redial_at  timestamptz                       -- … and one from before this can take the newer ones over only by a new login
);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'silver_worker') THEN
        CREATE ROLE silver_worker NOLOGIN;
    END IF;
END
$$;

GRANT SELECT, INSERT, UPDATE ON silver_fence TO silver_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON radcheck, radreply, radusergroup, nas TO silver_worker;
-- Groups are created, never changed: a group is named by its content.
GRANT SELECT, INSERT ON radgroupcheck, radgroupreply TO silver_worker;
GRANT USAGE ON SEQUENCE radcheck_id_seq, radreply_id_seq, radusergroup_id_seq, radgroupcheck_id_seq, radgroupreply_id_seq,
    nas_id_seq TO silver_worker;
GRANT SELECT ON radacct TO silver_worker;

-- Who else has this address? (FreeRADIUS's own index begins with the user name.)
CREATE INDEX IF NOT EXISTS silver_radreply_address ON radreply (value) WHERE attribute = 'Framed-IP-Address';

-- What check-config asks: one row for each thing that is missing, none when all is well..
CREATE OR REPLACE VIEW silver_check AS
    SELECT format('%s on %s is not granted', need.privilege, need.relation) AS fault
    FROM (VALUES
        ('silver_fence', 'SELECT'), ('silver_fence', 'INSERT'), ('silver_fence', 'UPDATE'),
        ('radcheck', 'SELECT'), ('radcheck', 'INSERT'), ('radcheck', 'DELETE'),
        ('radreply', 'SELECT'), ('radreply', 'INSERT'), ('radreply', 'DELETE'),
        ('radusergroup', 'SELECT'), ('radusergroup', 'INSERT'), ('radusergroup', 'DELETE'),
        ('radgroupcheck', 'SELECT'), ('radgroupcheck', 'INSERT'),
        ('radgroupreply', 'SELECT'), ('radgroupreply', 'INSERT'),
        ('radacct', 'SELECT')) AS need (relation, privilege)
    WHERE NOT has_table_privilege(need.relation, need.privilege)
    UNION ALL
    SELECT format('USAGE on sequence %s is not granted', name)
    FROM unnest(ARRAY['radcheck_id_seq', 'radreply_id_seq', 'radusergroup_id_seq', 'radgroupcheck_id_seq',
                      'radgroupreply_id_seq']) AS name
    WHERE NOT has_sequence_privilege(name, 'USAGE')
    UNION ALL
    SELECT 'the database is a read-only standby'
    WHERE pg_is_in_recovery();
GRANT SELECT ON silver_check TO silver_worker;

COMMIT;
