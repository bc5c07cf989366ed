"""Texts to MinHash signatures of their three-word shingles."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from ingest.curate import Signature
from ingest.curate.minhash import SIZE, digest, permutations
from ingest.curate.tokens import read

_SHINGLE = 3  # words
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)

Numbers = npt.NDArray[np.uint32]


def sign(texts: Sequence[str]) -> tuple[list[Signature], Signature]:
    """The signature of each text (the empty one, where there are no words), and that of all together, but for their facts."""
    signatures = []
    whole: Numbers | None = None
    for text in texts:
        taken = read(text)
        if not taken.words:
            signatures.append(Signature())
            continue
        sketch = _sketch(shingles(taken.words))
        whole = sketch if whole is None else np.minimum(whole, sketch)
        signatures.append(Signature(_kept(sketch), _hash(taken.facts), _hash(sorted(taken.names))))
    return signatures, Signature() if whole is None else Signature(_kept(whole))


def shingles(words: Sequence[str]) -> Numbers:
    """A number for each run of three words (for all of a shorter text), each once."""
    hashed = np.fromiter((zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words), np.uint64, len(words))
    width = min(_SHINGLE, len(words))
    runs = len(words) - width + 1
    mixed = np.zeros(runs, np.uint64)
    for at in range(width):
        mixed += hashed[at : at + runs] * _MIX[at]
    return np.unique((mixed >> np.uint64(32)).astype(np.uint32))


def _sketch(numbers: Numbers) -> Numbers:
    from datasketch import MinHash

    sketch = MinHash(SIZE, permutations=permutations(), hashfunc=_itself, scheme="affine32")
    sketch.update_batch(numbers)
    found: Numbers = sketch.hashvalues
    return found


def _kept(sketch: Numbers) -> bytes:
    """The lower half of each number: the upper one of the smallest is nearly always 0."""
    return (sketch & np.uint32(0xFFFF)).astype("<u2").tobytes()


def _itself(number: int) -> int:
    return number


def _hash(facts: Collection[str]) -> int:
    return digest("\n".join(facts).encode("utf-8", "surrogatepass")) if facts else 0
