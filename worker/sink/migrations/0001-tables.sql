-- SPDX-License-Identifier: Apache-2.0
-- The ledger: what became of every event, on which target, with which words. Times are UTC; sentences are not stored,
-- only codes and their arguments. Written by the ledger role alone, read by silver_reader.

-- One row a contract: the highest generation that was accepted. Redis is rebuilt from it and from `record`.
CREATE TABLE silver.contract (
    ns          text   NOT NULL,            -- <source.system>/<source.database>
    contract_id text   NOT NULL,            -- for a command: the key of its own record
    ref         text   NOT NULL DEFAULT '', -- the mark on everything that is ours
    generation  bigint NOT NULL,
    rev         text   NOT NULL DEFAULT '',
    event       uuid   NOT NULL,            -- the event that brought this generation
    wanted      jsonb,                      -- {state, plan, username} of that event
    PRIMARY KEY (ns, contract_id)
);
CREATE INDEX contract_ref ON silver.contract (ref);

-- One row an event: the outcome that counts (final beats progress, a higher run beats a lower one, and only `dead` may
-- still turn into something else).
CREATE TABLE silver.event (
    id           uuid PRIMARY KEY,
    parent       uuid,
    ns           text,
    contract_id  text,
    ref          text        NOT NULL DEFAULT '',
    generation   bigint,
    rev          text        NOT NULL DEFAULT '',
    type         text        NOT NULL DEFAULT '',
    routing      text        NOT NULL DEFAULT '', -- device whose queue the event belonged to
    source_user  text        NOT NULL DEFAULT '',
    state        text        NOT NULL CHECK (state IN ('progress', 'final')),
    outcome      text,
    evidence     text,
    saved        boolean,
    code         text        NOT NULL DEFAULT '',
    args         jsonb       NOT NULL DEFAULT '{}',
    waiting      jsonb,
    run          integer     NOT NULL,
    replay       integer     NOT NULL DEFAULT 0,
    attempt      integer     NOT NULL DEFAULT 1,
    worker       text        NOT NULL DEFAULT '',
    epoch        bigint,
    published_at timestamptz,
    started_at   timestamptz,
    finished_at  timestamptz,
    recorded_at  timestamptz NOT NULL DEFAULT now(), -- when the ledger first heard of it
    changed_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX event_contract ON silver.event (ns, contract_id, generation DESC);
CREATE INDEX event_ref ON silver.event (ref);
CREATE INDEX event_recent ON silver.event (recorded_at DESC);
CREATE INDEX event_prefix ON silver.event ((id::text) text_pattern_ops);
CREATE INDEX event_open ON silver.event (routing) WHERE state = 'progress';

-- One row an execution. `result` is the result as it was published, without log and letter, which have tables.
CREATE TABLE silver.run (
    event       uuid        NOT NULL,
    run         integer     NOT NULL,
    state       text        NOT NULL CHECK (state IN ('progress', 'final')),
    outcome     text,
    worker      text        NOT NULL DEFAULT '',
    epoch       bigint,
    started_at  timestamptz,
    finished_at timestamptz,
    result      jsonb       NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event, run)
);

-- What a contract has on a target, as the last result about it said.
CREATE TABLE silver.record (
    ns           text        NOT NULL,
    contract_id  text        NOT NULL,
    uid          text        NOT NULL, -- the target's immutable id in the inventory
    target       text        NOT NULL DEFAULT '', -- its name when the result was written
    generation   bigint      NOT NULL,
    rev          text        NOT NULL DEFAULT '',
    keys         jsonb       NOT NULL DEFAULT '[]', -- what our things are called on the target; [] = none is there
    record       jsonb,                -- as the worker keeps it: goes back into Redis as it is
    outcome      text        NOT NULL DEFAULT '',
    evidence     text        NOT NULL DEFAULT '',
    epoch        bigint,
    event        uuid        NOT NULL,
    run          integer     NOT NULL,
    holds        jsonb,                -- what the target holds, in words
    reality      jsonb,                -- what is true beside the configuration: online, optical power
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (ns, contract_id, uid)
);
CREATE INDEX record_uid ON silver.record (uid);

-- Every exchange with every target. A partition a month, made ahead (silver.make_partitions); `exec_log_other` catches
-- rows of clocks that are far off.
CREATE TABLE silver.exec_log (
    event   uuid        NOT NULL,
    run     integer     NOT NULL,
    seq     integer     NOT NULL,
    at      timestamptz NOT NULL,
    target  text        NOT NULL DEFAULT '',
    uid     text,
    dir     text        NOT NULL DEFAULT '',
    text    text        NOT NULL DEFAULT '',
    verdict text        NOT NULL DEFAULT '',
    PRIMARY KEY (event, run, seq, at)
) PARTITION BY RANGE (at);
CREATE TABLE silver.exec_log_other PARTITION OF silver.exec_log DEFAULT;
CREATE INDEX exec_log_device ON silver.exec_log (uid, at);

-- A dead letter waits for a person. One row for each time that the event died.
CREATE TABLE silver.letter (
    event       uuid        NOT NULL,
    replay      integer     NOT NULL,
    code        text        NOT NULL,
    args        jsonb       NOT NULL DEFAULT '{}',
    fingerprint text        NOT NULL,  -- code and target: equal letters have one cause
    target      text        NOT NULL DEFAULT '', -- which target said no
    driver      text        NOT NULL DEFAULT '',
    sealed      bytea,                 -- the whole message in a sealed box, base64
    reply       bytea,                 -- a reply that nobody understood, likewise
    state       text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'resolved', 'discarded')),
    died_at     timestamptz NOT NULL DEFAULT now(),
    closed_at   timestamptz,
    PRIMARY KEY (event, replay)
);
CREATE INDEX letter_open ON silver.letter (code, died_at) WHERE state = 'open';

-- A replay works on the set that was shown: the items are frozen when the request is made.
CREATE TABLE silver.replay_request (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    by      text        NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    filter  jsonb       NOT NULL DEFAULT '{}',
    state   text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'stopped', 'done'))
);
CREATE TABLE silver.replay_item (
    request bigint  NOT NULL REFERENCES silver.replay_request,
    event   uuid    NOT NULL,
    replay  integer NOT NULL,          -- becomes the header silver-replay: request/replay
    state   text    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'skipped', 'done')),
    outcome text,
    PRIMARY KEY (request, event)
);

-- What people decided about gates. (Those that the fleet closes by itself live in Redis only.)
CREATE TABLE silver.gate (
    uid     text PRIMARY KEY,
    target  text        NOT NULL DEFAULT '',
    state   text        NOT NULL CHECK (state IN ('open', 'closed')),
    code    text        NOT NULL DEFAULT '',
    why     text        NOT NULL DEFAULT '', -- the person's own words
    by      text        NOT NULL DEFAULT '',
    since   timestamptz NOT NULL,
    until   timestamptz                      -- null: until somebody opens it
);

-- Messages on the ledger's queue that are not results. Kept aside: they never block the queue.
CREATE TABLE silver.ledger_bad (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    routing_key text        NOT NULL DEFAULT '',
    reason      text        NOT NULL,
    body        bytea       NOT NULL,
    times       integer     NOT NULL DEFAULT 1,
    digest      bytea       NOT NULL UNIQUE  -- a redelivery is counted, not kept twice
);
