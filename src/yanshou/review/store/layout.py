"""The tables of a store. Version 1."""

APPLICATION_ID = 0x79735276  # "ysRv", in the header of the file
VERSION = 1

# As they are in the partial indexes: SQLite uses an index only where a query repeats its condition.
AWAITED = "queued = 1 AND need IN ('first', 'second', 'third')"
AWAITED_AGAIN = "queued = 1 AND need IN ('second', 'third')"

LAYOUT = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE groups (
    id INTEGER PRIMARY KEY,              -- random, 53 bits: shows no order
    mission TEXT NOT NULL,
    label TEXT NOT NULL CHECK (label IN ('', 'pass', 'fail')),  -- the folder's; '': a new job
    group_id TEXT NOT NULL,
    verdict TEXT, decision TEXT, p_pass REAL, reason TEXT,      -- the machine's side; NULL: unknown
    rules_verdict TEXT, rules_reason TEXT, fault TEXT,
    audit INTEGER NOT NULL DEFAULT 0,    -- in the audit sample
    queued INTEGER NOT NULL,
    why TEXT,                            -- false_release, doubt, audit, all; NULL: not queued
    sampled INTEGER NOT NULL,            -- a second reader by the store's share
    position INTEGER NOT NULL,           -- in the queue
    need TEXT NOT NULL CHECK (need IN ('first', 'second', 'third', 'lead', 'done')),
    digest BLOB NOT NULL,                -- of what was imported, without the photos' paths
    UNIQUE (mission, label, group_id)
);
-- These hold all that the choice of the next group looks at: it passes over all groups that wait.
CREATE INDEX groups_of_all ON groups (audit, position, need) WHERE {AWAITED};
CREATE INDEX groups_of_mission ON groups (mission, audit, position, need) WHERE {AWAITED};
CREATE INDEX groups_again ON groups (mission, audit) WHERE {AWAITED_AGAIN};
CREATE INDEX groups_audited ON groups (mission) WHERE audit = 1;

CREATE TABLE photos (
    id INTEGER PRIMARY KEY,              -- random, 53 bits
    group_ref INTEGER NOT NULL REFERENCES groups,
    number INTEGER NOT NULL,             -- from 1
    path BLOB NOT NULL,                  -- UTF-8; names that are not, with surrogates
    summary TEXT,                        -- NULL: none
    UNIQUE (group_ref, number)
);

CREATE TABLE answers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of answers, whatever the clock says
    uid TEXT NOT NULL UNIQUE,            -- made by the page
    group_ref INTEGER NOT NULL REFERENCES groups,
    reader TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('reader', 'lead')),
    label TEXT CHECK (label IN ('pass', 'fail', 'unsure')),     -- NULL: an undo
    reason TEXT,
    supersedes INTEGER REFERENCES answers,
    blind INTEGER NOT NULL,
    seconds REAL,                        -- the group was on the screen
    at TEXT NOT NULL                     -- ISO 8601, milliseconds, local offset
);
CREATE INDEX answers_of_group ON answers (group_ref, reader, role, id, label);
CREATE INDEX answers_of_reader ON answers (reader, at);
CREATE UNIQUE INDEX answers_superseded ON answers (supersedes) WHERE supersedes IS NOT NULL;

CREATE TABLE reveals (
    group_ref INTEGER NOT NULL REFERENCES groups, reader TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (group_ref, reader)
) WITHOUT ROWID;

CREATE TABLE leases (
    group_ref INTEGER PRIMARY KEY REFERENCES groups, session TEXT NOT NULL,
    expires REAL NOT NULL                -- by the clock of leases
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,                 -- random: the cookie's value
    role TEXT NOT NULL CHECK (role IN ('reader', 'lead')), reader TEXT, created TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE names (                     -- every name that a browser has had: the lead sees who used several
    session TEXT NOT NULL REFERENCES sessions, reader TEXT NOT NULL, PRIMARY KEY (session, reader)
) WITHOUT ROWID;

CREATE TABLE imports (at TEXT NOT NULL, files_json TEXT NOT NULL, counts_json TEXT NOT NULL);

CREATE TRIGGER answers_stay BEFORE UPDATE ON answers BEGIN SELECT RAISE(ABORT, 'answers are never changed'); END;
CREATE TRIGGER answers_are_kept BEFORE DELETE ON answers BEGIN SELECT RAISE(ABORT, 'answers are never deleted'); END;
CREATE TRIGGER answers_are_not_replaced BEFORE INSERT ON answers
    WHEN EXISTS (SELECT 1 FROM answers WHERE id = NEW.id OR uid = NEW.uid)
    BEGIN SELECT RAISE(ABORT, 'answers are never replaced'); END;
CREATE TRIGGER reveals_stay BEFORE UPDATE ON reveals BEGIN SELECT RAISE(ABORT, 'reveals are never changed'); END;
CREATE TRIGGER reveals_are_kept BEFORE DELETE ON reveals BEGIN SELECT RAISE(ABORT, 'reveals are never deleted'); END;
"""
