-- The tables of a search: see store.py. Eight thousand bytes a page waste less of it on rows of a
-- thousand bytes than SQLite's four thousand. Every row has a digest of its other columns.
-- A file must have these statements to the letter: whoever changes one makes a new format.
PRAGMA page_size = 8192;
CREATE TABLE meta (                    -- JSON by name: see schema.py
    name TEXT PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE state (                   -- the controller's newest state: see packing.py
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, shape TEXT NOT NULL, dtype TEXT NOT NULL,
    value BLOB NOT NULL, digest BLOB NOT NULL
);
CREATE TABLE updates (                 -- of the controller
    number INTEGER PRIMARY KEY,        -- from 1
    told INTEGER NOT NULL,             -- trials that had ended by then
    metrics TEXT NOT NULL,             -- JSON
    digest BLOB NOT NULL
);
CREATE TABLE trials (
    number INTEGER PRIMARY KEY,        -- the proposal's number
    key TEXT NOT NULL,                 -- of the canonical architecture
    seed INTEGER NOT NULL,             -- of the child
    proposed_at REAL NOT NULL,         -- seconds since 1970
    updates_at_proposal INTEGER NOT NULL, -- the age of the policy that drew it
    attempts INTEGER NOT NULL DEFAULT 0,  -- how often its evaluation was started
    status TEXT,                       -- NULL while it is waiting or running
    reward REAL,
    told_reward REAL,                  -- what the controller was told; NULL: nothing
    updates_at_tell INTEGER,           -- the age of the policy that was told
    completion_order INTEGER,          -- from 1
    cached INTEGER NOT NULL DEFAULT 0, -- 1: an earlier trial of the same key had been measured
    cause TEXT,                        -- why it failed, one line
    seconds REAL,
    parameters INTEGER,
    worker INTEGER,
    ended_at REAL,
    curves TEXT,                       -- JSON: the training history by epoch
    tokens BLOB NOT NULL,              -- uint16
    log_probs BLOB NOT NULL,           -- float32: log P of each token when it was drawn
    distributions BLOB NOT NULL,       -- float16: P of every choice when it was drawn
    digest BLOB NOT NULL
);
CREATE INDEX trials_key ON trials (key);
CREATE INDEX trials_reward ON trials (reward DESC, number) WHERE status = 'ok' AND NOT cached;
CREATE UNIQUE INDEX trials_completion ON trials (completion_order)
    WHERE completion_order IS NOT NULL;
CREATE INDEX trials_unfinished ON trials (number) WHERE status IS NULL OR status = 'stopped';
CREATE INDEX trials_failed ON trials (completion_order) WHERE status != 'ok';
CREATE TABLE retrainings (             -- the best cells, trained again and tested
    origin TEXT NOT NULL,              -- 'controller' or 'random'
    key TEXT NOT NULL,
    seed INTEGER NOT NULL,
    genotype TEXT NOT NULL,            -- JSON
    reward REAL,                       -- in the search
    status TEXT NOT NULL,
    cause TEXT,
    validation REAL,                   -- accuracy of the retrained network
    test REAL,
    seconds REAL,
    digest BLOB NOT NULL,
    PRIMARY KEY (origin, key, seed)
);
