"""Everything that can go wrong in ingestion, as one tree.

IngestError
├── DocumentError            a document could not be taken in; its message is the reason in the ledger
│   ├── UnsupportedFormat    no parser for what the file holds
│   ├── EmptyDocument        the file holds no text
│   ├── TooLarge             the file is over the limit
│   ├── Encrypted            the file needs a password
│   ├── BrokenDocument       the file can't be read as what it claims to be
│   └── BadLabels            what the file says of its labels can't be read or is too much
├── SourceError              a folder or file that was asked for can't be read
├── DependencyMissing        a package that is needed is not installed
├── BackupError              a backup can't be made, read or put in place
└── StoreError               the index folder
    ├── IndexMissing         there is no index at this place
    ├── IndexBusy            another process is writing to it
    ├── IndexReadOnly        it can't be written to
    ├── IndexDamaged         the source of truth itself can't be read
    ├── EmbedderMismatch     it was made with another embedder
    ├── StorageFull          the disk is full
    ├── QueueFull            too many uploads wait
    ├── JobNotFound          no such upload
    └── DocumentNotFound     no such document

Each message names the thing, the value and what is wrong; `hint` says what to do next.
"""

from __future__ import annotations


class IngestError(Exception):
    """The root: `str(error)` is a sentence for a person, `hint` the next thing to do (may be empty)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[type[IngestError], tuple[str, str]]:
        return type(self), (str(self), self.hint)


class DocumentError(IngestError):
    """A document could not be taken in; the message is the reason in the ledger."""


class UnsupportedFormat(DocumentError):
    """No parser for what the file holds."""


class EmptyDocument(DocumentError):
    """The file holds no text."""


class TooLarge(DocumentError):
    """The file is over the limit."""


class Encrypted(DocumentError):
    """The file needs a password."""


class BrokenDocument(DocumentError):
    """The file can't be read as what it claims to be."""


class BadLabels(DocumentError):
    """What the file says of its labels can't be read, or is too much."""


class SourceError(IngestError):
    """A folder or file that was asked for can't be read."""


class DependencyMissing(IngestError):
    """A package that is needed is not installed."""


class BackupError(IngestError):
    """A backup can't be made, read or put in place."""


class StoreError(IngestError):
    """Something about the index folder."""


class IndexMissing(StoreError):
    """There is no index at this place."""


class IndexBusy(StoreError):
    """Another process is writing to the index."""


class IndexReadOnly(StoreError):
    """The index can't be written to."""


class IndexDamaged(StoreError):
    """The source of truth itself can't be read."""


class EmbedderMismatch(StoreError):
    """The index was made with another embedder."""


class StorageFull(StoreError):
    """The disk is full."""


class QueueFull(StoreError):
    """Too many uploads wait to be taken in."""


class JobNotFound(StoreError):
    """No such upload."""


class DocumentNotFound(StoreError):
    """No such document."""
