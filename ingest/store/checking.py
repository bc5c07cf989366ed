"""Faults in the store itself: damaged pages, broken links between tables, chunks off their place."""

from __future__ import annotations

from ingest.store.reading import Reader
from ingest.store.rows import read_findings


def faults_of(store: Reader) -> list[str]:
    """Faults in the store itself: damaged pages, broken links between tables, chunks off their place."""
    faults = [f"The store: {row[0]}." for row in store.rows("PRAGMA integrity_check") if row[0] != "ok"]
    faults += [f"The store: a row of {row[0]} belongs to no {row[2]}." for row in store.rows("PRAGMA foreign_key_check")]
    query = (
        'SELECT d.id, d.chunks, d.characters, count(c.id), coalesce(max(c."end"), 0), '
        "(SELECT coalesce(sum(length(text)), 0) FROM pieces p WHERE p.document_id = d.id) "
        "FROM documents d LEFT JOIN chunks c ON c.document_id = d.id GROUP BY d.id"
    )
    for document_id, chunks, characters, found, last, length in store.rows(query):
        if chunks != found:
            faults.append(f"Document {document_id} has {found} chunks of {chunks}.")
        if characters != length or last > characters:
            faults.append(f"Document {document_id} has {length} characters of {characters}.")
    return faults + _faulty_findings(store) + _faulty_quarantine(store)


def _faulty_findings(store: Reader) -> list[str]:
    """Findings that can't be read, or stand where the document has no text."""
    if store.schema < 2:
        return []
    faults = []
    rows = store.rows(
        "SELECT id, characters, findings FROM documents WHERE findings != '' UNION ALL "
        "SELECT d.id, d.characters, c.findings FROM chunks c JOIN documents d ON d.id = c.document_id "
        "WHERE c.findings != ''"
    )
    for document_id, characters, packed in rows:
        try:
            whole = all(0 <= f.start <= f.end <= characters for f in read_findings(packed))
        except (ValueError, TypeError):
            whole = False
        if not whole:
            faults.append(f"Document {document_id} has findings that are damaged.")
    return list(dict.fromkeys(faults))


def _faulty_quarantine(store: Reader) -> list[str]:
    try:
        store.quarantine()
    except (ValueError, TypeError):
        return ["The quarantine is damaged."]
    return []
