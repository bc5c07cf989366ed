"""Outlook messages made in memory: a writer of Office's old container (version 3) and of the properties in it."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeAlias

Tree: TypeAlias = Mapping[str, "bytes | Tree"]
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR, _MINI = 512, 64


def compound_file(tree: Tree) -> bytes:
    """The container with these streams and storages. Every stream must be shorter than 4096 bytes."""
    entries: list[list[object]] = []  # name, kind, right, child, start, size
    mini = bytearray()
    mini_fat: list[int] = []

    def put(stream: bytes) -> int:
        start = len(mini) // _MINI
        count = -(-len(stream) // _MINI)
        mini.extend(stream + bytes(count * _MINI - len(stream)))
        mini_fat.extend([*range(start + 1, start + count), _END] if count else [])
        return start if count else _END

    def add(folder: Tree) -> int:
        first = last = _FREE
        for name, content in folder.items():
            at = len(entries)
            if isinstance(content, bytes):
                entries.append([name, 2, _FREE, _FREE, put(content), len(content)])
            else:
                entries.append([name, 1, _FREE, _FREE, 0, 0])
                entries[at][3] = add(content)
            if last != _FREE:
                entries[last][2] = at
            first, last = (at if first == _FREE else first), at
        return first

    entries.append(["Root Entry", 5, _FREE, _FREE, _END, 0])
    entries[0][3] = add(tree)

    def sectors(data: bytes) -> list[bytes]:
        data += bytes(-len(data) % _SECTOR)
        return [data[at : at + _SECTOR] for at in range(0, len(data), _SECTOR)]

    mini_sectors = sectors(bytes(mini))
    mini_fat_sectors = sectors(b"".join(struct.pack("<L", n) for n in mini_fat + [_FREE] * (-len(mini_fat) % 128)))
    directory_count = -(-len(entries) // 4)
    # In this order: the FAT (one sector), the directory, the mini FAT, the mini stream.
    fat = [_FAT]

    def chain(count: int) -> int:
        start = len(fat)
        fat.extend([*range(start + 1, start + count), _END] if count else [])
        return start if count else _END

    directory_at, mini_fat_at, mini_at = chain(directory_count), chain(len(mini_fat_sectors)), chain(len(mini_sectors))
    assert len(fat) <= 128
    entries[0][4], entries[0][5] = mini_at, len(mini)
    directory = b""
    for name, kind, right, child, start, size in entries:
        encoded = str(name).encode("utf-16-le") + b"\0\0"
        directory += encoded.ljust(64, b"\0") + struct.pack("<HBB", len(encoded), int(str(kind)), 1)
        directory += struct.pack("<LLL", _FREE, right, child) + bytes(36) + struct.pack("<LQ", start, size)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<LLLLL", 0, 1, directory_at, 0, 4096)
    header += struct.pack("<LLLL", mini_fat_at, len(mini_fat_sectors), _END, 0) + struct.pack("<L", 0) + b"\xff" * (108 * 4)
    padded = b"".join(struct.pack("<L", n) for n in fat + [_FREE] * (128 - len(fat)))
    return header + padded + b"".join(sectors(directory) + mini_fat_sectors + mini_sectors)


def message(
    texts: Mapping[str, str], attached: Tree | None = None, *, sent: int = 0, header: int = 32
) -> dict[str, bytes | Tree]:
    """A message of text properties (tag -> text) and storages of attachments."""
    tree: dict[str, bytes | Tree] = {f"__substg1.0_{tag}001F": text.encode("utf-16-le") for tag, text in texts.items()}
    tree["__properties_version1.0"] = bytes(header) + struct.pack("<HHLQ", 0x0040, 0x0039, 6, sent)
    return tree | dict(attached or {})
