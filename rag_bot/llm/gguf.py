"""The header of a GGUF file: what the model is and what it needs, read without loading it."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST_ARRAY = 4096  # longer ones are vocabularies: nothing here asks for them
_F16 = 2  # bytes of a number in the KV cache


@dataclass(frozen=True, slots=True)
class Header:
    """Metadata by its key (long arrays are left out), and the fewest bytes that the whole file can have."""

    metadata: Mapping[str, Any]
    least_bytes: int

    @property
    def trained_context(self) -> int:
        """Tokens that the model was trained to see at once; 0 if it doesn't say."""
        return int(self._of("context_length", 0))

    @property
    def cache_bytes(self) -> int:
        """Bytes of the KV cache for each token of context, in 16-bit floats; 0 if the header doesn't say.

        Layers × heads that keep keys and values × (length of a key + length of a value) × 2.
        """
        layers, heads = int(self._of("block_count", 0)), self._of("attention.head_count", 0)
        head_list = heads if isinstance(heads, list) else [heads]
        kept = self._of("attention.head_count_kv", heads)
        all_kept = sum(kept) if isinstance(kept, list) else layers * kept
        head_length = int(self._of("embedding_length", 0)) // max(*head_list, 1)
        lengths = self._of("attention.key_length", head_length) + self._of("attention.value_length", head_length)
        return int(all_kept * lengths * _F16)

    def _of(self, key: str, default: Any) -> Any:
        return self.metadata.get(f"{self.metadata.get('general.architecture')}.{key}", default)


def read_header(path: Path) -> Header:
    """The header of the file. Raises OSError, or ValueError with what is wrong, as `it is …` or `it ends …`."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError("it is no GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                header = _Reader(data).header()
            except (struct.error, OverflowError, RecursionError) as error:  # a length or a number beyond the end
                raise ValueError("it ends within its header") from error
            if len(data) < header.least_bytes:
                raise ValueError(f"it ends after {len(data):,} bytes and should have more than {header.least_bytes:,}")
    return header


class _Reader:
    """Goes through the header from its start; struct.error where the file ends too early."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, len(_MAGIC)

    def header(self) -> Header:
        version = self._number("I")
        if version not in (2, 3):
            raise ValueError(f"it is of GGUF version {version}, and 2 and 3 are known")
        tensors, keys = self._number("Q"), self._number("Q")
        metadata = {}
        for _ in range(keys):
            key = self._text()
            value = self._value(self._number("I"))
            if value is not None:
                metadata[key] = value
        last = 0
        for _ in range(tensors):
            self._skip_text()
            dimensions = self._number("I")
            self._at += 8 * dimensions + 4
            last = max(last, self._number("Q"))
        align = metadata.get("general.alignment")
        align = align if isinstance(align, int) and align > 0 else 32
        return Header(metadata, -(-self._at // align) * align + last if tensors else self._at)

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(_scalar(kind))
        inner, length = self._number("I"), self._number("Q")
        if inner in (_STRING, _ARRAY):
            for _ in range(length):
                self._skip_text() if inner == _STRING else self._value(_ARRAY)
            return None
        code = f"<{length}{_scalar(inner)}"
        start, self._at = self._at, self._at + struct.calcsize(code)
        return list(struct.unpack_from(code, self._data, start)) if length <= _LONGEST_ARRAY else None

    def _number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def _text(self) -> str:
        (text,) = struct.unpack_from(f"{self._number('Q')}s", self._data, self._at)
        self._at += len(text)
        return str(text, "utf-8", "replace")

    def _skip_text(self) -> None:
        length = self._number("Q")
        self._at += length


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"it is damaged: its header has a value of the unknown kind {kind}")
    return _SCALARS[kind]
