"""Files made wrong in the ways that files go wrong, and in those of who means harm; the same ones for the same seed."""

from __future__ import annotations

import io
import random
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ingest.parsers import SUPPORTED

_SUFFIX = re.compile(r"\.[^.]*$")
_NUMBER = re.compile(rb"\d+")
_INTERESTING = (b"0", b"-1", b"255", b"65536", b"2147483648", b"4294967295", b"99999999999999999999")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A file made wrong: its name, its bytes, in which way."""

    name: str
    data: bytes
    way: str


def mutate(files: Mapping[str, bytes], number: int, seed: str = "1") -> Mutation:
    """The mutation of this number. Each kind of file (by suffix) comes as often as any other; three in four can be read."""
    chance = random.Random(f"{seed}/{number}")
    by_suffix: dict[str, list[str]] = {}
    for name in sorted(files):
        by_suffix.setdefault(suffix_of(name), []).append(name)
    read = [suffix for suffix in sorted(by_suffix) if suffix in SUPPORTED]
    name = chance.choice(by_suffix[chance.choice(read if read and chance.random() < 0.75 else sorted(by_suffix))])
    data = files[name]
    other = files[chance.choice(sorted(files))]
    if data.startswith(b"PK\x03\x04") and chance.random() < 0.6:
        way = chance.choice(("swapped member", "broken member", "lying directory"))
        return Mutation(name, _ZIPPED[way](chance, data, other), way)
    way = chance.choice((*_WAYS, "wrong suffix"))
    if way == "wrong suffix":
        return Mutation(_SUFFIX.sub("", name) + chance.choice(sorted(by_suffix)), data, way)
    return Mutation(name, _WAYS[way](chance, data, other), way)


def suffix_of(name: str) -> str:
    match = _SUFFIX.search(name)
    return match[0].lower() if match else ""


def _flip(chance: random.Random, data: bytes, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 3, 20, 200)) if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    length = chance.choice((4, 64, 512, 4096))
    filling = chance.choice((bytes(length), b"\xff" * length, chance.randbytes(length), other[:length]))
    return data[:at] + filling + data[at + length :]


def _cut(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _behead(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[chance.randrange(min(len(data), 4096) + 1) :]


def _splice(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _repeat(chance: random.Random, data: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    piece = data[at : at + chance.choice((16, 256, 4096))]
    return data[:at] + piece * min(chance.choice((2, 50, 2000)), 4_000_000 // max(1, len(piece))) + data[at:]


def _numbers(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Numbers written in digits, as in a PDF or XML, become ones that nobody reckons with."""
    share = chance.choice((0.002, 0.02, 0.2))
    return _NUMBER.sub(lambda match: chance.choice(_INTERESTING) if chance.random() < share else match[0], data)


def _polyglot(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data + other if chance.random() < 0.5 else other[:1024] + data


_WAYS: Mapping[str, Callable[[random.Random, bytes, bytes], bytes]] = {
    "flipped bits": _flip,
    "overwritten": _overwrite,
    "cut short": _cut,
    "beginning lost": _behead,
    "spliced": _splice,
    "repeated": _repeat,
    "odd numbers": _numbers,
    "two in one": _polyglot,
}


def _members(data: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    except Exception:  # one that is broken as it comes
        return [("broken", data)]


def _zip(members: Sequence[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names that come twice, which is meant
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _swapped(chance: random.Random, data: bytes, other: bytes) -> bytes:
    members = _members(data)
    foreign = _members(other) if other.startswith(b"PK\x03\x04") else [("other", other)]
    at = chance.randrange(len(members))
    members[at] = (members[at][0], chance.choice(foreign)[1])
    return _zip(members)


def _broken_member(chance: random.Random, data: bytes, other: bytes) -> bytes:
    members = _members(data)
    at = chance.randrange(len(members))
    way = chance.choice(sorted(_WAYS))
    members[at] = (members[at][0], _WAYS[way](chance, members[at][1], other))
    return _zip(members)


def _lying(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Sizes and offsets in the directory that are not true."""
    changed = bytearray(data)
    at = data.rfind(b"PK\x01\x02")
    for _ in range(3 if at >= 0 else 0):
        changed[min(len(changed) - 1, at + chance.randrange(8, 46))] = chance.randrange(256)
    return bytes(changed)


_ZIPPED: Mapping[str, Callable[[random.Random, bytes, bytes], bytes]] = {
    "swapped member": _swapped,
    "broken member": _broken_member,
    "lying directory": _lying,
}
