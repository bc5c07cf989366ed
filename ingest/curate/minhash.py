"""Words to MinHash signatures, and how alike two of them are. (A. Broder, On the resemblance and containment of documents.)"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.curate import Signature
from ingest.curate.tokens import read

SIZE = 64
"""Numbers in a signature. The share in which two agree estimates the Jaccard index of their shingles to about .05."""

_SHINGLE = 3  # words
_MIX = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
# Bands are looked up in the store: a pair is compared if one of them agrees. Where facts and names must agree too, 5 bands of
# 4 numbers find .93 of the pairs at a Jaccard index of .8 and .995 at .9; without them 3 of 6 find .89 at .9, .98 at .95.
_SAME, _SIMILAR = (5, 4), (3, 6)

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


def likeness(one: Signature, other: Signature) -> float:
    """About the share of what both hold together of all that they hold, in 0..1."""
    if not one.minhash or not other.minhash:
        return 0.0
    return float(np.mean(_numbers(one) == _numbers(other)))


def bands(signature: Signature) -> tuple[list[int], list[int]]:
    """Keys (of 63 bits) that texts which say the same share one of, and those that texts which read alike share one of."""
    if not signature.minhash:
        return [], []
    same = [
        _key(b"same%d:%d:%d:" % (at, signature.facts, signature.names), signature, at * _SAME[1], _SAME[1])
        for at in range(_SAME[0])
    ]
    begin = _SAME[0] * _SAME[1]
    similar = [
        _key(b"like%d:" % at, signature, begin + at * _SIMILAR[1], _SIMILAR[1])
        for at in range(_SIMILAR[0])
    ]  # fmt: skip
    return same, similar


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

    sketch = MinHash(SIZE, permutations=_permutations(), hashfunc=_itself, scheme="affine32")
    sketch.update_batch(numbers)
    found: Numbers = sketch.hashvalues
    return found


def _kept(sketch: Numbers) -> bytes:
    """The lower half of each number: the upper one of the smallest is nearly always 0."""
    return (sketch & np.uint32(0xFFFF)).astype("<u2").tobytes()


@cache
def _permutations() -> Any:
    from datasketch import MinHash

    return MinHash(SIZE, seed=1, scheme="affine32").permutations


def _itself(number: int) -> int:
    return number


def _numbers(signature: Signature) -> npt.NDArray[np.uint16]:
    return np.frombuffer(signature.minhash, "<u2")


def _hash(facts: Collection[str]) -> int:
    return _digest("\n".join(facts).encode("utf-8", "surrogatepass")) if facts else 0


def _key(prefix: bytes, signature: Signature, begin: int, width: int) -> int:
    return _digest(prefix + signature.minhash[2 * begin : 2 * (begin + width)])


def _digest(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") >> 1


def alike(signatures: Mapping[str, Signature], least: float) -> list[list[str]]:
    """Groups of those that are alike to at least `least`, directly or through others; the largest first."""
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(threshold=least, num_perm=SIZE)
    group_of: dict[str, list[str]] = {}
    for name, signature in signatures.items():
        if not signature.minhash:
            continue
        sketch = MinHash(SIZE, hashvalues=_numbers(signature), permutations=_permutations(), scheme="affine32")
        group_of[name] = [name]
        for other in lsh.query(sketch):
            ours, theirs = group_of[name], group_of[other]
            if ours is not theirs and likeness(signature, signatures[other]) >= least:
                theirs += ours
                group_of.update(dict.fromkeys(ours, theirs))
        lsh.insert(name, sketch)
    groups = {id(group): sorted(group) for group in group_of.values() if len(group) > 1}
    return sorted(groups.values(), key=lambda group: (-len(group), group))
