"""The tables of the store, and how an older store is brought up to date."""

from __future__ import annotations

from ingest.curate import tables

SCHEMA_VERSION = 5

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, media_type TEXT NOT NULL,
    chunks INTEGER NOT NULL, characters INTEGER NOT NULL, sha256 TEXT NOT NULL, added_at TEXT NOT NULL,
    masked INTEGER NOT NULL DEFAULT 0, findings TEXT NOT NULL DEFAULT '', labels TEXT,
    changed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX documents_by_change ON documents(changed);
CREATE TABLE pieces (
    document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE, ordinal INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (document_id, ordinal)
) WITHOUT ROWID;
CREATE TABLE blocks (
    document_id TEXT PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE, data BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document_id TEXT NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER, place TEXT NOT NULL, vector BLOB NOT NULL,
    sentences BLOB NOT NULL, findings TEXT NOT NULL DEFAULT ''
);
CREATE INDEX chunks_of_document ON chunks(document_id);
CREATE TABLE removed (chunk_id INTEGER PRIMARY KEY);
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, source TEXT NOT NULL, document_id TEXT, status TEXT NOT NULL,
    reason TEXT, chunks INTEGER NOT NULL
);
"""
QUARANTINE = """
CREATE TABLE quarantine (
    source TEXT NOT NULL, sha256 TEXT NOT NULL, document_id TEXT NOT NULL, reason TEXT NOT NULL, findings TEXT NOT NULL,
    state TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (source, sha256)
) WITHOUT ROWID;
CREATE INDEX quarantine_by_content ON quarantine(sha256);
"""
# Where every document stands, and the runs that take documents in.
STATES = """
CREATE TABLE states (
    source TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT, at TEXT NOT NULL, run INTEGER NOT NULL,
    chunks_done INTEGER NOT NULL, chunks_total INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX states_by_state ON states(state);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, began TEXT NOT NULL, files INTEGER NOT NULL, ended TEXT,
    outcome TEXT
);
"""
# From the schema of each version to the next. What there was before the first has no findings, and nothing is held back;
# before the second, what became of a document is told by its last line in the ledger; before the third, no facts are known;
# before the fourth, no file was asked for its labels (what may have some has NULL until it is read again), nor was it kept with
# which version of the store a document changed.
MIGRATIONS = {
    1: """
ALTER TABLE documents ADD COLUMN masked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN findings TEXT NOT NULL DEFAULT '';
ALTER TABLE chunks ADD COLUMN findings TEXT NOT NULL DEFAULT '';
"""
    + QUARANTINE,
    2: STATES
    + """
INSERT INTO states SELECT source, 'done', NULL, added_at, 0, chunks, chunks FROM documents;
INSERT OR REPLACE INTO states SELECT source, 'quarantined', reason, at, 0, 0, 0 FROM quarantine WHERE state = 'held';
INSERT OR REPLACE INTO states SELECT source, 'failed', reason, at, 0, 0, 0 FROM ledger
    WHERE status = 'failed' AND id IN (SELECT max(id) FROM ledger GROUP BY source);
""",
    3: tables.SCHEMA,
    4: """
ALTER TABLE documents ADD COLUMN labels TEXT;
ALTER TABLE documents ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX documents_by_change ON documents(changed);
UPDATE documents SET labels = '' WHERE media_type NOT IN
    ('text/plain', 'text/markdown', 'text/html', 'text/x-rst', 'text/asciidoc');
""",
}
