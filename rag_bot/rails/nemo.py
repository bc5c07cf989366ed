"""NeMo Guardrails around our rails and a user's own: one check for a question, one for each sentence about to be released.

What NeMo does by itself and we don't want: it reports its use, keeps the events of every conversation, lets a client's
`context` message override what rails see, and decides nothing when an action fails. So it gets one message a check and
nothing else, forgets it at once, and every action is timed, bounded and noted here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import DependencyMissing
from ingest.inspect.orders import judge_question
from rag_bot.budget import Budget
from rag_bot.errors import BadSetting, LLMUnavailable
from rag_bot.rails import Checked, Screened
from rag_bot.rails.local import PASS, RAILS, LocalRail, Subject
from rag_bot.rails.log import note
from rag_bot.rails.passages import RAIL as PASSAGES
from rag_bot.rails.passages import screen
from rag_bot.types import Claim, Passage, RailVerdict, Turn, Verdict

os.environ["NEMO_GUARDRAILS_NO_USAGE_STATS"] = "1"  # before its first import: nothing is reported to anybody

try:
    from nemoguardrails import LLMRails, RailsConfig
    from nemoguardrails.actions.rail_outcome import RailOutcome
    from nemoguardrails.library.jailbreak_detection.request import jailbreak_nim_request
    from nemoguardrails.rails.llm.options import RailsResult, RailStatus, RailType
    from nemoguardrails.types import ChatMessage, LLMResponse
except ImportError as error:
    raise DependencyMissing("Rails need NeMo Guardrails.", "pip install nemoguardrails, or set RAG_BOT_RAILS=off.") from error

if TYPE_CHECKING:
    from ingest.embedder import Vectors
    from rag_bot.llm.llm import LLM

OURS = Path(__file__).parent / "config"
SELF_CHECKS = {
    "input": ("input", "self check input"),
    "output": ("output", "self check output"),
    "facts": ("output", "self check facts by sources"),
}
UNSURE = "This can't be answered: a check of it failed. Ask again in a moment."
REFUSED = "This can't be answered here."

_FENCE = re.compile(r"[<>]{2,}")  # nothing in a text can close the fence around it in a self-check's prompt
_BROKEN = "I'm sorry, an internal error"  # NeMo's words where a flow breaks: they come in the place of the text
# What NeMo's own machinery runs as actions; everything else is a rail's.
_MACHINERY = ("run_", "generate_", "retrieve_", "create_", "cited_sources", "detect_language", "check_rails")
_OURS = ("check question", "check sentence")
_subject: ContextVar[Subject] = ContextVar("subject")
_log = logging.getLogger("rag_bot.rails")

_nemo_log = logging.getLogger("nemoguardrails")
if _nemo_log.level == logging.NOTSET:  # it writes users' texts into the log, with every error too: what fails is noted here
    _nemo_log.setLevel(logging.CRITICAL)


class NemoRails:
    """The rails of our folder and of a user's (`folder`), run by NeMo side by side.

    A rail that fails or takes longer than `seconds` refuses, unless `fail_open` names it. `self_checks` (of `SELF_CHECKS`)
    ask the `llm`. `skip` names rails that are left out. `interpreted`: our rails go through NeMo also where they are alone.
    Raises BadSetting for a folder that can't be used.
    """

    def __init__(
        self,
        local: Mapping[str, LocalRail],
        *,
        folder: Path | None = None,
        llm: LLM | None = None,
        self_checks: Collection[str] = (),
        skip: Collection[str] = (),
        fail_open: Collection[str] = (),
        seconds: float = 5.0,
        nearest: float = 0.0,
        interpreted: bool = False,
    ) -> None:
        self._seconds, self._nearest = seconds, nearest
        self._local = {on: {name: local[name] for name in names if name not in skip} for on, names in RAILS.items()}
        self._fail_open, self._looks_for_orders = frozenset(fail_open), PASSAGES not in skip
        self._interpreted = interpreted or bool(folder or self_checks)
        self._asks_others = bool(folder or self_checks)  # our own rails know the question; NeMo takes longer for two messages
        config = _config(folder, self_checks)
        sides = (config.rails.input, config.rails.output)
        names = {_rail_of(flow) for side in sides for flow in side.flows if flow not in _OURS} | {*local, PASSAGES}
        for unknown in sorted({*skip, *fail_open} - names):
            raise BadSetting(f"There is no rail {unknown!r}.", f"There are: {', '.join(sorted(names))}.")
        for side in sides:
            side.parallel = True
            side.flows = [flow for flow in dict.fromkeys(side.flows) if _rail_of(flow) not in skip]
        try:
            self._nemo = LLMRails(config, llm=_Model(llm) if llm else None)
        except Exception as error:  # NeMo has no error of its own for a wrong folder
            raise BadSetting(f"The rails can't be loaded: {_first_line(error)}", "Mend the folder of RAG_BOT_RAILS.") from error
        self._nemo.events_history_cache = _Forgetful()
        self._nemo.register_action(self._ours, "check_rails")
        self._nemo.register_action(_cited_sources, "cited_sources")
        self._nemo.register_action(_jailbreak_by_guard(config), "check_jailbreak_by_guard")
        dispatcher = self._nemo.runtime.action_dispatcher
        dispatcher.execute_action = self._watched(dispatcher.execute_action)
        self._on = {kind for kind in (RailType.INPUT, RailType.OUTPUT) if getattr(config.rails, kind.value).flows}

    async def check_question(self, question: str, vector: Vectors | None, budget: Budget) -> Checked:
        return await self._check(Subject("question", question, budget, vector))

    def check_turns(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        return [turn for turn in turns if judge_question(turn.question).allowed and judge_question(turn.answer).allowed]

    async def check_passages(self, passages: Sequence[Passage]) -> Screened:
        try:
            async with asyncio.timeout(self._seconds):
                screened = await asyncio.to_thread(screen, passages, self._nearest, orders=self._looks_for_orders)
        except Exception as error:
            _log.warning("The rail %s failed: %s", PASSAGES, type(error).__name__)
            reason, allowed = "timeout" if isinstance(error, TimeoutError) else "failed", PASSAGES in self._fail_open
            verdict = PASS if allowed else Verdict(False, PASSAGES, reason, UNSURE)
            noted = RailVerdict(PASSAGES, "passage", allowed, reason, failed=True)
            screened = Screened(verdict, tuple(passages) if allowed else (), (noted,))
        note(screened.verdicts)
        return screened

    async def check_sentence(self, claim: Claim, question: str, before: str, budget: Budget) -> Checked:
        sources = [citation.quote for citation in claim.citations]
        return await self._check(Subject("sentence", claim.text, budget, question=question, before=before, sources=sources))

    async def _check(self, subject: Subject) -> Checked:
        kind, role = (RailType.INPUT, "user") if subject.on == "question" else (RailType.OUTPUT, "assistant")
        if kind not in self._on or not subject.text.strip():
            return Checked(Verdict(True), subject.text)
        token = _subject.set(subject)
        if self._interpreted:
            messages = [{"role": role, "content": _FENCE.sub(" ", subject.text)}]
            if subject.question and self._asks_others:
                messages.insert(0, {"role": "user", "content": _FENCE.sub(" ", subject.question)})
            running = self._nemo.check_async(messages, rail_types=[kind])
        else:  # our own rails alone: what NeMo makes of their one action is known, and costs it some 10 ms of the processor
            running = self._alone(subject)
        # A task of its own: NeMo swallows a cancellation that reaches it while its rails run side by side.
        check = asyncio.create_task(running)
        _subject.reset(token)
        try:
            result: RailsResult | None = await asyncio.shield(check)
        except asyncio.CancelledError:
            check.cancel()
            raise
        except Exception as error:
            _log.error("NeMo Guardrails failed: %s", type(error).__name__)
            subject.verdicts.append(RailVerdict("nemo", subject.on, False, "failed", failed=True))
            result = None
        verdicts = tuple(subject.verdicts)  # what was cancelled may still be at it
        if result and result.status is RailStatus.MODIFIED and result.content.startswith(_BROKEN):
            verdicts = (*verdicts, RailVerdict("nemo", subject.on, False, "failed", failed=True))
        # What a rail of ours or theirs has said counts, whatever a flow made of it.
        refused = any(not verdict.allowed for verdict in verdicts)
        note(verdicts)
        if result is None or refused or result.status is RailStatus.BLOCKED:
            return Checked(_refusal(subject, verdicts, result), subject.masked or subject.text, verdicts)
        text = result.content if result.status is RailStatus.MODIFIED else subject.text
        return Checked(PASS, subject.masked or text, verdicts)

    async def _alone(self, subject: Subject) -> RailsResult:
        """What NeMo says of a text where its flows run nothing but our rails."""
        outcome = await self._ours()
        status = RailStatus.BLOCKED if outcome.is_blocked else RailStatus.PASSED
        return RailsResult(status=status, content=subject.text)

    async def _ours(self) -> RailOutcome:
        """All of our own rails on the text under check, one after another in one thread: each takes less than going to a
        thread does. One that hangs is left behind in it, and those after it go on in another."""
        subject = _subject.get()
        rails, outcomes = list(self._local[subject.on].items()), []
        while rails:
            row = _Row(rails, subject)
            try:
                async with asyncio.timeout(self._seconds):
                    await asyncio.to_thread(row.run)
                said = row.said
            except TimeoutError as error:
                row.left = True
                said = row.said.copy()
                if len(said) < len(rails):
                    said.append((error, self._seconds * 1000))
            outcomes += [self._decided(name, subject, *each) for (name, _), each in zip(rails, said, strict=False)]
            rails = rails[len(said) :]
        return next((outcome for outcome in outcomes if outcome.is_blocked), RailOutcome.allow())

    def _watched(self, execute: Callable[..., Awaitable[tuple[Any, str]]]) -> Callable[..., Awaitable[tuple[Any, str]]]:
        """NeMo's way to run an action, with its time bounded, its failure decided and its verdict noted."""

        async def watched(action: str, params: dict[str, Any]) -> tuple[Any, str]:
            subject = _subject.get(None)
            if subject is None or action.startswith(_MACHINERY):
                return await execute(action, params)

            async def run() -> Any:
                result, status = await execute(action, params)
                if status == "failed":
                    raise RuntimeError("the action failed")
                return result

            return await self._noted(action.removeprefix("check_").replace("_", " "), subject, run()), "success"

        return watched

    async def _noted(self, rail: str, subject: Subject, running: Awaitable[Any]) -> Any:
        """What a rail says: in bounded time, with its failure decided by the settings, and its verdict noted."""
        began = time.perf_counter()
        result: Any
        try:
            async with asyncio.timeout(self._seconds):
                result = await running
        except Exception as error:
            result = error
        return self._decided(rail, subject, result, (time.perf_counter() - began) * 1000)

    def _decided(self, rail: str, subject: Subject, result: Any, ms: float) -> Any:
        """The same of what a rail has said, or of what it has raised."""
        failure = ""
        if isinstance(result, TimeoutError):
            failure = "timeout"
        elif isinstance(result, Exception):
            _log.warning("The rail %s failed: %s", rail, type(result).__name__)  # what it says may hold the text
            failure = "failed"
        if failure:
            allowed = rail in self._fail_open
            said: dict[str, list[str]] = {"policy_violations": []}  # which NeMo's flows for guard models read
            result = RailOutcome.allow(metadata=said) if allowed else RailOutcome.failure(reason=failure, metadata=said)
        else:
            allowed = not _blocks(result)
        reason = failure or (getattr(result, "reason", None) or ("" if allowed else "refused"))
        detail = subject.details.get(rail, "")
        subject.verdicts.append(RailVerdict(rail, subject.on, allowed, reason, ms, bool(failure), detail))
        return result


class _Row:
    """Rails that look at a text one after another; each says a verdict or an error, in so many milliseconds.

    Whoever waits for them no more says so by `left`.
    """

    def __init__(self, rails: Sequence[tuple[str, LocalRail]], subject: Subject) -> None:
        self.said: list[tuple[RailOutcome | Exception, float]] = []
        self.left = False
        self._rails, self._subject = rails, subject

    def run(self) -> None:
        for name, rail in self._rails:
            if self.left:
                return
            began = time.perf_counter()
            result: RailOutcome | Exception
            try:
                verdict = rail(self._subject)
                self._subject.messages[name] = verdict.message
                result = RailOutcome.allow() if verdict.allowed else RailOutcome.block(reason=verdict.reason)
            except Exception as error:
                result = error
            self.said.append((result, (time.perf_counter() - began) * 1000))


class _Forgetful(dict[str, Any]):
    """Keeps nothing: NeMo would keep the events of every check for ever."""

    def __setitem__(self, key: str, value: Any) -> None:
        pass


class _Model:
    """One of our LLMs as NeMo calls one; what it takes is counted with the question that is checked."""

    provider_name = provider_url = None

    def __init__(self, llm: LLM) -> None:
        self._llm = llm
        self.model_name = llm.name

    async def generate_async(
        self, prompt: str | list[ChatMessage], *, stop: list[str] | None = None, **options: Any
    ) -> LLMResponse:
        if isinstance(prompt, str):
            messages = [("user", prompt)]
        else:
            messages = [(message.role.value, str(message.content or "")) for message in prompt]
        budget = _subject.get().budget
        said = await self._llm.ask(messages, budget.within(budget.left()), max_tokens=options.get("max_tokens") or 64)
        for end in stop or ():
            said = said.partition(end)[0]
        return LLMResponse(content=said)

    def stream_async(self, prompt: Any, *, stop: Any = None, **options: Any) -> Any:
        raise NotImplementedError("rails ask for whole replies")


def _jailbreak_by_guard(config: RailsConfig) -> Callable[[], Awaitable[RailOutcome]]:
    asked = config.rails.config.jailbreak_detection

    async def act() -> RailOutcome:
        text, key = _subject.get().text, asked.get_api_key()
        found = await jailbreak_nim_request(text, asked.nim_base_url, key, asked.nim_server_endpoint)
        if found is None:
            raise LLMUnavailable("The jailbreak classifier did not answer.")
        return RailOutcome.block(reason="jailbreak") if found else RailOutcome.allow()

    return act


async def _cited_sources() -> str:
    return "\n".join(_FENCE.sub(" ", source) for source in _subject.get().sources)


def _config(folder: Path | None, self_checks: Collection[str]) -> RailsConfig:
    """Our configuration and the user's as one; theirs runs beside ours and can't take it away."""
    try:
        config = ours = RailsConfig.from_path(str(OURS))
        if folder is not None:
            theirs = RailsConfig.from_path(str(folder))
            if theirs.colang_version != ours.colang_version:
                raise BadSetting(f"The rails in {folder} are in Colang {theirs.colang_version}.", "Write them in Colang 1.0.")
            config = ours + theirs
    except BadSetting:
        raise
    except Exception as error:
        raise BadSetting(f"The rails in {folder} can't be read: {_first_line(error)}", "Mend the folder.") from error
    for check in self_checks:
        side, flow = SELF_CHECKS[check]
        getattr(config.rails, side).flows.append(flow)
    return config


def _rail_of(flow: str) -> str:
    """A flow's name as settings and verdicts use it."""
    return flow.partition(" $")[0].removeprefix("check ").removesuffix(" by sources")


def _blocks(result: Any) -> bool:
    return result.is_blocked if isinstance(result, RailOutcome) else result is False


def _refusal(subject: Subject, verdicts: Sequence[RailVerdict], result: Any) -> Verdict:
    """What refused: a rail that said so; or a user's flow, whose words are then the message."""
    refused = next((verdict for verdict in verdicts if not verdict.allowed), None)
    if refused is None:
        rail = _rail_of(result.rail or "rails")
        return Verdict(False, rail, "refused", result.content or REFUSED)
    said = UNSURE if refused.failed else subject.messages.get(refused.rail) or (result and result.content) or REFUSED
    return Verdict(False, refused.rail, refused.reason, said)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
