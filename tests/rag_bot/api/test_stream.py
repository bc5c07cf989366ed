"""Streams that are broken off leave nothing for the garbage collector, which would stop all the others for a while."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from rag_bot.api.stream import _pump
from rag_bot.llm.reading import in_task


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Endless:
    """A stream that knows the task that reads it, as those of HTTP clients do."""

    task: weakref.ref[asyncio.Task[Any]]

    async def __call__(self) -> AsyncGenerator[int, None]:
        task = asyncio.current_task()
        assert task
        self.task = weakref.ref(task)
        while not task.done():
            yield 1
            await asyncio.sleep(0.001)


async def test_of_an_answer() -> None:
    events, inbox = Endless(), asyncio.Queue[Any]()
    task = asyncio.create_task(_pump(events(), inbox))
    await inbox.get()
    task.cancel()
    await asyncio.wait({task})
    del task
    assert events.task() is None


async def test_of_an_llm() -> None:
    words = Endless()
    stream = in_task(words())
    assert await anext(stream) == 1
    await stream.aclose()
    for _ in range(5):
        await asyncio.sleep(0)
    assert words.task() is None
