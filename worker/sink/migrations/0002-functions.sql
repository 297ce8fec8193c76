-- SPDX-License-Identifier: Apache-2.0
-- How a message of the ledger's queue becomes rows. One call a message, any number of times, in any order: what was
-- said before is never made worse by a repetition.

-- Partitions of exec_log from last month to `ahead` months from now. Rows that went astray are moved in.
CREATE FUNCTION silver.make_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz;
    name text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('silver.exec_log', 0));
    FOR i IN -1 .. ahead LOOP
        first := date_trunc('month', now() AT TIME ZONE 'UTC' + make_interval(months => i)) AT TIME ZONE 'UTC';
        name := 'exec_log_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
        CONTINUE WHEN to_regclass('silver.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE silver.%I (LIKE silver.exec_log INCLUDING DEFAULTS)', name);
        EXECUTE format('WITH astray AS (DELETE FROM silver.exec_log_other WHERE at >= %L AND at < %L RETURNING *) '
                       'INSERT INTO silver.%I SELECT * FROM astray',
                       first, silver.next_month(first), name);
        EXECUTE format('ALTER TABLE silver.exec_log ATTACH PARTITION silver.%I FOR VALUES FROM (%L) TO (%L)',
                       name, first, silver.next_month(first));
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Months are counted in UTC, whatever the session's time zone is.
CREATE FUNCTION silver.next_month(first timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS
    $$ SELECT (first AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC' $$;

-- The run. False when its final result was recorded before: then there is nothing new but, perhaps, a transcript.
CREATE FUNCTION silver.take_run(r jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO silver.run AS old (event, run, state, outcome, worker, epoch, started_at, finished_at, result)
    VALUES ((r->>'event')::uuid, (r->>'run')::integer, r->>'state', r->>'outcome', coalesce(r->>'worker', ''),
            (r->>'epoch')::bigint, (r#>>'{at,started}')::timestamptz, (r#>>'{at,finished}')::timestamptz,
            r - 'log' - 'letter')
    ON CONFLICT (event, run) DO UPDATE
        SET state = EXCLUDED.state, outcome = EXCLUDED.outcome, worker = EXCLUDED.worker, epoch = EXCLUDED.epoch,
            started_at = coalesce(old.started_at, EXCLUDED.started_at), finished_at = EXCLUDED.finished_at,
            result = EXCLUDED.result, recorded_at = now()
        WHERE old.state = 'progress';
    RETURN FOUND;
END $$;

-- The event. False when what is known already counts more.
CREATE FUNCTION silver.take_event(r jsonb, device text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO silver.event AS old
        (id, parent, ns, contract_id, ref, generation, rev, type, routing, source_user, state, outcome, evidence, saved,
         code, args, waiting, run, replay, attempt, worker, epoch, published_at, started_at, finished_at)
    VALUES ((r->>'event')::uuid, (r->>'parent')::uuid, r->>'ns', r->>'contract_id', coalesce(r#>>'{contract,ref}', ''),
            (r->>'generation')::bigint, coalesce(r->>'rev', ''), coalesce(r->>'type', ''),
            coalesce(r->>'routing', device, ''), coalesce(r#>>'{source,user}', ''), r->>'state', r->>'outcome',
            r->>'evidence', (r->>'saved')::boolean, coalesce(r->>'code', ''), coalesce(r->'args', '{}'),
            nullif(r->'waiting', 'null'), (r->>'run')::integer, coalesce((r->>'replay')::integer, 0),
            coalesce((r->>'attempt')::integer, 1), coalesce(r->>'worker', ''), (r->>'epoch')::bigint,
            (r#>>'{at,published}')::timestamptz, (r#>>'{at,started}')::timestamptz, (r#>>'{at,finished}')::timestamptz)
    ON CONFLICT (id) DO UPDATE
        SET parent = coalesce(EXCLUDED.parent, old.parent), ns = coalesce(EXCLUDED.ns, old.ns),
            contract_id = coalesce(EXCLUDED.contract_id, old.contract_id),
            ref = coalesce(nullif(EXCLUDED.ref, ''), old.ref),
            generation = coalesce(EXCLUDED.generation, old.generation),
            rev = coalesce(nullif(EXCLUDED.rev, ''), old.rev),
            type = coalesce(nullif(EXCLUDED.type, ''), old.type),
            routing = coalesce(nullif(EXCLUDED.routing, ''), old.routing),
            source_user = coalesce(nullif(EXCLUDED.source_user, ''), old.source_user),
            state = EXCLUDED.state, outcome = EXCLUDED.outcome, evidence = EXCLUDED.evidence, saved = EXCLUDED.saved,
            code = EXCLUDED.code, args = EXCLUDED.args, waiting = EXCLUDED.waiting, run = EXCLUDED.run,
            replay = EXCLUDED.replay, attempt = EXCLUDED.attempt, worker = EXCLUDED.worker, epoch = EXCLUDED.epoch,
            published_at = coalesce(EXCLUDED.published_at, old.published_at), started_at = EXCLUDED.started_at,
            finished_at = EXCLUDED.finished_at, changed_at = now()
        WHERE CASE
            -- Run 0 is of a message that was never admitted; it may bear the id of an event that is not its own.
            WHEN (old.ns, old.contract_id, old.generation)
                 IS DISTINCT FROM (EXCLUDED.ns, EXCLUDED.contract_id, EXCLUDED.generation)
                 AND (old.run = 0 OR EXCLUDED.run = 0)
            THEN EXCLUDED.run > 0 OR (old.contract_id IS NULL AND EXCLUDED.contract_id IS NOT NULL)
            ELSE (old.state = 'progress' AND (EXCLUDED.state = 'final' OR EXCLUDED.run >= old.run))
              OR (old.state = 'final' AND old.outcome = 'dead' AND EXCLUDED.state = 'final' AND EXCLUDED.run > old.run)
            END;
    RETURN FOUND;
END $$;

-- The contract's highest accepted generation and what it has on each target. Only an admitted event has `records`. A cleanup follows the
-- event of its generation and has no revision of its own: what it brings of the contract stands until that event says something.
CREATE FUNCTION silver.take_records(r jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(r->'records') IS DISTINCT FROM 'array' OR r->>'ns' IS NULL OR r->>'contract_id' IS NULL
       OR r->>'generation' IS NULL OR r->>'outcome' IN ('rejected', 'superseded') THEN
        RETURN;
    END IF;
    INSERT INTO silver.contract AS old (ns, contract_id, ref, generation, rev, event, wanted)
    VALUES (r->>'ns', r->>'contract_id', coalesce(r#>>'{contract,ref}', ''), (r->>'generation')::bigint,
            CASE WHEN r->>'type' = 'contract.cleanup' THEN '' ELSE coalesce(r->>'rev', '') END,
            (r->>'event')::uuid, nullif(r->'wanted', 'null'))
    ON CONFLICT (ns, contract_id) DO UPDATE
        SET ref = coalesce(nullif(EXCLUDED.ref, ''), old.ref), generation = EXCLUDED.generation, rev = EXCLUDED.rev,
            event = EXCLUDED.event, wanted = coalesce(EXCLUDED.wanted, old.wanted)
        WHERE EXCLUDED.generation > old.generation
           OR (EXCLUDED.generation = old.generation AND old.rev = '' AND EXCLUDED.rev <> '');
    INSERT INTO silver.record AS old (ns, contract_id, uid, target, generation, rev, keys, record, outcome,
                                      evidence, epoch, event, run, holds, reality, at)
    SELECT r->>'ns', r->>'contract_id', c->>'uid', coalesce(c->>'target', t->>'target', ''),
           coalesce((c->>'generation')::bigint, (r->>'generation')::bigint), coalesce(c->>'rev', r->>'rev', ''),
           coalesce(nullif(c#>'{record,keys}', 'null'), '[]'), nullif(c->'record', 'null'),
           coalesce(c->>'outcome', ''), coalesce(t->>'evidence', ''),
           coalesce((c->>'epoch')::bigint, (r->>'epoch')::bigint), (r->>'event')::uuid,
           coalesce((c->>'run')::integer, (r->>'run')::integer), nullif(t->'holds', 'null'),
           nullif(t->'reality', 'null'),
           coalesce((r#>>'{at,finished}')::timestamptz, (r#>>'{at,started}')::timestamptz, now())
    FROM jsonb_array_elements(r->'records') c
    LEFT JOIN LATERAL (SELECT e FROM jsonb_array_elements(r->'targets') e
                       WHERE e->>'uid' = c->>'uid'
                          OR (e->>'uid' IS NULL AND e->>'target' = coalesce(c->>'target', c->>'uid'))
                       LIMIT 1) found(t) ON true
    ON CONFLICT (ns, contract_id, uid) DO UPDATE
        SET target = coalesce(nullif(EXCLUDED.target, ''), old.target), generation = EXCLUDED.generation,
            rev = EXCLUDED.rev, keys = EXCLUDED.keys, record = EXCLUDED.record,
            outcome = EXCLUDED.outcome, evidence = EXCLUDED.evidence, epoch = EXCLUDED.epoch, event = EXCLUDED.event,
            run = EXCLUDED.run, holds = EXCLUDED.holds, reality = EXCLUDED.reality, at = EXCLUDED.at
        WHERE EXCLUDED.generation > old.generation
           OR (EXCLUDED.generation = old.generation
               AND CASE WHEN EXCLUDED.event = old.event THEN EXCLUDED.run >= old.run ELSE EXCLUDED.at >= old.at END);
END $$;

-- The transcript. Entries are only ever added: a stored result that is published again carries none.
CREATE FUNCTION silver.take_log(r jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(r->'log') IS DISTINCT FROM 'array' THEN
        RETURN;
    END IF;
    INSERT INTO silver.exec_log (event, run, seq, at, target, uid, dir, text, verdict)
    SELECT (r->>'event')::uuid, (r->>'run')::integer, coalesce((e->>'seq')::integer, n::integer),
           coalesce((r#>>'{at,started}')::timestamptz, now())
               + make_interval(secs => coalesce((e->>'ms')::double precision, 0) / 1000),
           coalesce(e->>'target', ''),
           (SELECT coalesce(t->>'uid', t->>'target') FROM jsonb_array_elements(r->'targets') t
            WHERE t->>'target' = e->>'target' LIMIT 1),
           coalesce(e->>'dir', ''), coalesce(e->>'text', ''), coalesce(e->>'verdict', '')
    FROM jsonb_array_elements(r->'log') WITH ORDINALITY AS entries(e, n)
    ON CONFLICT DO NOTHING;
END $$;

-- The dead letter, or its end.
CREATE FUNCTION silver.take_letter(r jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    refusal jsonb;
    n integer := coalesce((r->>'replay')::integer, 0);
BEGIN
    IF r->>'state' <> 'final' THEN
        RETURN;
    END IF;
    IF r->>'outcome' <> 'dead' THEN
        UPDATE silver.letter SET state = CASE r->>'outcome' WHEN 'discarded' THEN 'discarded' ELSE 'resolved' END,
                                 closed_at = now()
        WHERE event = (r->>'event')::uuid AND state IN ('open', 'replayed');
        RETURN;
    END IF;
    UPDATE silver.letter SET state = 'replayed', closed_at = now()
    WHERE event = (r->>'event')::uuid AND replay < n AND state = 'open';
    SELECT e INTO refusal FROM jsonb_array_elements(coalesce(nullif(r->'targets', 'null'), '[]')) e
    WHERE e->>'outcome' = 'dead' ORDER BY (e->>'code' = r->>'code') DESC LIMIT 1;
    INSERT INTO silver.letter (event, replay, code, args, fingerprint, target, driver, sealed, reply, died_at)
    VALUES ((r->>'event')::uuid, n, coalesce(r->>'code', ''), coalesce(r->'args', '{}'),
            coalesce(r->>'code', '') || ' ' || coalesce(refusal->>'target', r->>'routing', ''),
            coalesce(refusal->>'target', ''), coalesce(refusal->>'driver', ''),
            convert_to(r#>>'{letter,event_sealed}', 'UTF8'), convert_to(r#>>'{letter,reply_sealed}', 'UTF8'),
            coalesce((r#>>'{at,finished}')::timestamptz, now()))
    ON CONFLICT (event, replay) DO NOTHING;
END $$;

-- One result. Answers what it was: new (counts now), older (something that counts more is known), again (known).
CREATE FUNCTION silver.take_result(r jsonb, device text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    counts boolean;
BEGIN
    IF NOT silver.take_run(r) THEN
        PERFORM silver.take_log(r);
        RETURN 'again';
    END IF;
    counts := silver.take_event(r, device);
    PERFORM silver.take_log(r);
    PERFORM silver.take_records(r);
    IF counts THEN
        PERFORM silver.take_letter(r);
    END IF;
    RETURN CASE WHEN counts THEN 'new' ELSE 'older' END;
END $$;

-- A person's gate. The later order counts, in whatever order they arrive.
CREATE FUNCTION silver.take_gate(g jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO silver.gate AS old (uid, target, state, code, why, by, since, until)
    VALUES (g->>'uid', coalesce(g->>'target', ''), g->>'state', coalesce(g->>'code', ''), coalesce(g->>'why', ''),
            coalesce(g->>'by', ''), (g->>'since')::timestamptz, (g->>'until')::timestamptz)
    ON CONFLICT (uid) DO UPDATE
        SET target = EXCLUDED.target, state = EXCLUDED.state, code = EXCLUDED.code, why = EXCLUDED.why,
            by = EXCLUDED.by, since = EXCLUDED.since, until = EXCLUDED.until
        WHERE EXCLUDED.since >= old.since;
    RETURN CASE WHEN FOUND THEN 'new' ELSE 'older' END;
END $$;

-- A message of the ledger's queue: a result or a gate.
CREATE FUNCTION silver.take(message jsonb, device text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN message->>'schema' LIKE 'silver.gate/%' THEN silver.take_gate(message)
                ELSE silver.take_result(message, device) END
$$;

-- ---- for readers ----

-- A time as every document has it: "2026-11-23T04:00:00.123Z".
CREATE FUNCTION silver.utc(at timestamptz) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- The RADIUS user of a contract, as its newest accepted event names it.
CREATE FUNCTION silver.username(ns text, contract_id text) RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT c.wanted->>'username' FROM silver.contract c WHERE (c.ns, c.contract_id) = ($1, $2) $$;

-- An event as silverctl prints it (schemas/ctl/v1).
CREATE FUNCTION silver.event_document(e silver.event) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'event', e.id, 'parent', e.parent, 'type', e.type, 'ns', e.ns, 'contract_id', e.contract_id, 'ref', e.ref,
        'username', silver.username(e.ns, e.contract_id), 'generation', e.generation, 'by', e.source_user,
        'routing', e.routing, 'state', e.state, 'outcome', e.outcome, 'evidence', e.evidence, 'saved', e.saved,
        'code', e.code, 'args', e.args, 'waiting', e.waiting, 'run', e.run, 'replay', e.replay, 'attempt', e.attempt,
        'worker', e.worker, 'epoch', e.epoch, 'published', silver.utc(e.published_at),
        'started', silver.utc(e.started_at), 'finished', silver.utc(e.finished_at),
        'recorded', silver.utc(e.recorded_at))
$$;
