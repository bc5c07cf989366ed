"""Made-up vectors that lie as those of real texts do, in any number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

DIMENSION = 384
# Topics, themes of each, and how unlike in size the themes are (the exponent of Zipf's law); how far a theme lies from its
# topic and a text from its theme (of length 1 each); how fast the variance falls from direction to direction. Chosen so that
# 9,000 of them have about the cosines to their 1st, 10th, 100th and 1,000th neighbour, the spread of those, and the share of
# neighbours in the nearest 1 to 128 of 256 lists of k-means that all-MiniLM-L6-v2 gives 11,000 passages of MTRAG.
_TOPICS, _THEMES, _UNLIKE = 300, 30, 0.8
_THEME, _TEXT, _FALL = 1.0, 0.9, 0.38
_BATCH = 250_000


def clustered(count: int, seed: int, device: str = "cpu") -> Iterator[Tensor]:
    """`count` unit vectors of float16 on a torch device, by batches, shape (rows, 384). `seed` says which: the themes are the
    same for all."""
    import torch

    world = torch.Generator().manual_seed(1)
    lengths = torch.arange(1, DIMENSION + 1) ** -_FALL
    turned = torch.linalg.qr(torch.randn(DIMENSION, DIMENSION, generator=world))[0]
    spread = (lengths / lengths.norm())[:, None] * turned
    unit = torch.nn.functional.normalize
    topics = unit(torch.randn(_TOPICS, DIMENSION, generator=world) @ spread)
    themes = torch.randn(_TOPICS * _THEMES, DIMENSION, generator=world) @ spread
    themes = unit(topics.repeat_interleave(_THEMES, 0) + _THEME * themes).to(device)
    order = torch.randperm(len(themes), generator=world)
    sizes = (torch.arange(1, len(themes) + 1) ** -_UNLIKE)[order].to(device)
    spread = spread.to(device)
    own = torch.Generator(device).manual_seed(seed)
    for at in range(0, count, _BATCH):
        rows = min(_BATCH, count - at)
        vectors = themes[torch.multinomial(sizes, rows, replacement=True, generator=own)]
        away = _TEXT * (0.5 + torch.rand(rows, 1, generator=own, device=device))
        vectors += away * (torch.randn(rows, DIMENSION, generator=own, device=device) @ spread)
        yield unit(vectors).half()
