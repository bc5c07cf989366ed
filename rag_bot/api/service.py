"""What the routes share: the bot, its start in the background, the numbers, and the signal that the service is stopping."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from ingest.errors import IngestError
from rag_bot.accounts.accounts import Accounts
from rag_bot.accounts.provider import Provider
from rag_bot.accounts.quotas import Quotas
from rag_bot.accounts.types import Principal
from rag_bot.api.metrics import Metrics
from rag_bot.api.monitor import Monitor
from rag_bot.api.place import Place
from rag_bot.api.problems import Refused, not_ready, sentence_of
from rag_bot.api.taking import Taking
from rag_bot.errors import BotError
from rag_bot.memory import Memory
from rag_bot.readers import Person
from rag_bot.types import Answer, Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.types import Allowed
    from rag_bot.api.provider import SignIn
    from rag_bot.bot import Bot
    from rag_bot.types import Turn

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


class Service:
    """One running service around one bot."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.metrics = Metrics(lambda: bot.spent)
        self.monitor = Monitor(bot)
        self.metrics.registry.register(self.monitor)
        self.stopping = asyncio.Event()
        self.taking = Taking(bot)
        settings = bot.settings
        self.accounts = Accounts(Memory.of(settings)) if settings.auth == "on" else None
        self.provider = Provider.of(settings)
        self.quotas = Quotas(
            settings.rate_per_minute,
            settings.questions_per_day,
            settings.uploads_per_day,
            settings.tokens_per_day,
            settings.cost_per_day,
        )
        self._failure: str | None = None
        self.on_started: Callable[[], None] | None = None
        """Called once the bot has started."""
        self.metrics.registry.register(Place(self.missing, settings.index))
        self._starting: asyncio.Task[None] | None = None

    @cached_property
    def sign_in(self) -> SignIn | None:
        """The way in through the provider; None where none is named."""
        if self.accounts is None or self.provider is None:
            return None
        from rag_bot.api.provider import SignIn

        return SignIn(self.provider, self.accounts, self.bot.settings)

    def missing(self) -> str | None:
        """None when questions can be answered, else a sentence that says what is missing."""
        return self._failure or self.bot.ready()

    def owner(self, principal: Principal) -> str | None:
        """By what the principal owns conversations and jobs; None where accounts are off and everything is everybody's."""
        return principal.id if self.accounts else None

    def allowed(self, principal: Principal, collection: str | None = None) -> Allowed:
        """Says which documents they may read, in a collection or anywhere. Raises NotFound for one that is none to them."""
        return self.bot.readers.scope_of(self._groups(principal), collection=collection or "")

    def collections(self, principal: Principal) -> list[str]:
        """The collections that they may use."""
        return self.bot.readers.collections_of(self._groups(principal))

    def _groups(self, principal: Principal) -> frozenset[str]:
        return principal.groups | self.bot.readers.rules.groups_of(Person(principal.person, principal.email))

    def stream(
        self,
        principal: Principal,
        question: str,
        conversation_id: str | None = None,
        *,
        turns: Sequence[Turn] | None = None,
        collection: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The bot's events, counted. Closing them stops the work."""
        allowed, owner = self.allowed(principal, collection), self.owner(principal)
        return self.metrics.watch(self.bot.stream(question, conversation_id, turns=turns, allowed=allowed, owner=owner))

    async def answer(
        self,
        principal: Principal,
        question: str,
        conversation_id: str | None = None,
        *,
        turns: Sequence[Turn] | None = None,
        collection: str | None = None,
    ) -> Answer:
        """The bot's answer, counted."""
        allowed, owner = self.allowed(principal, collection), self.owner(principal)
        with self.metrics.question() as answered:
            answer: Answer = await self.bot.answer(question, conversation_id, turns=turns, allowed=allowed, owner=owner)
            answered(answer)
        return answer

    def numbers(self) -> bytes:
        """Everything that is counted, in Prometheus' text form."""
        if self.missing() is None:
            with suppress(IngestError):
                self.metrics.holds(*self.bot.index.counts())
            self.monitor.look()
        return self.metrics.text()

    async def open(self) -> None:
        """Begin to start the bot; returns at once."""
        self._starting = asyncio.create_task(self._start())
        await self.taking.open()

    async def close(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError):
                await self._starting
        await self.taking.close()
        await self.bot.close()
        if self.accounts:
            self.accounts.close()

    async def _start(self) -> None:
        # What is missing (an index, a database) may come while the service waits: try until it is there.
        while True:
            try:
                await self._first_admin()  # before the bot: whoever finds the service ready can sign in
                await self.bot.start()
            except (BotError, IngestError) as error:
                sentence = sentence_of(error)
                if sentence != self._failure:
                    log.error("Not ready: %s", sentence)
                self._failure = sentence
            except Exception:
                log.exception("The bot could not be started")
                self._failure = "The service could not start; its log says why."
                return
            else:
                self._failure = None
                if self.on_started:
                    self.on_started()
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _first_admin(self) -> None:
        accounts, password = self.accounts, self.bot.settings.admin_password
        if accounts is None or password is None:
            return
        if await asyncio.to_thread(accounts.first_admin, password.get_secret_value()):
            log.info("The user `admin` was made.")


async def the_service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


async def the_ready_service(service: Annotated[Service, Depends(the_service)]) -> Service:
    if missing := service.missing():
        raise Refused(not_ready(missing))
    return service


AnyService = Annotated[Service, Depends(the_service)]
ReadyService = Annotated[Service, Depends(the_ready_service)]
"""The service, when it is ready; a route that takes it answers 503 before."""
