"""GGUF files written by hand: a header alone, or an adapter of noise."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Tensor = tuple[str, tuple[int, ...], bytes]
"""Name, dimensions (the one that runs fastest first), and 32-bit floats."""


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value_of(value: object) -> bytes:
    """A kind and a value, as they stand behind a key."""
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, list) and value and isinstance(value[0], str):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(each) for each in value)
    if isinstance(value, list):
        return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)
    return struct.pack("<II", 4, value)


def write_gguf(path: Path, metadata: Mapping[str, object], tensors: Sequence[Tensor] = ()) -> Path:
    head, data = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)), b""
    head += b"".join(text(key) + value_of(value) for key, value in metadata.items())
    for name, shape, numbers in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += numbers + bytes(-len(numbers) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + data)
    return path
