CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id TEXT PRIMARY KEY, source TEXT NOT NULL UNIQUE, title TEXT NOT NULL, media_type TEXT NOT NULL,
    chunks INTEGER NOT NULL, characters INTEGER NOT NULL, sha256 TEXT NOT NULL, added_at TEXT NOT NULL,
    masked INTEGER NOT NULL DEFAULT 0, findings TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
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

CREATE TABLE quarantine (
    source TEXT NOT NULL, sha256 TEXT NOT NULL, document_id TEXT NOT NULL, reason TEXT NOT NULL, findings TEXT NOT NULL,
    state TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (source, sha256)
) WITHOUT ROWID;
CREATE INDEX quarantine_by_content ON quarantine(sha256);
