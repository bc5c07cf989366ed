"""The one thread that owns a llama.cpp model, and the queue before it: first come, first served, one at a time."""

from __future__ import annotations

import atexit
import ctypes
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import llama_cpp
from llama_cpp import Llama, LlamaGrammar

from rag_bot.errors import LLMBusy, LLMError, LLMUnavailable
from rag_bot.llm.pieces import Text

_WAITING = 32  # questions that may wait: at some seconds for each, more would wait longer than anybody does
_ERROR = 4  # GGML_LOG_LEVEL_ERROR
_log = logging.getLogger(__name__)
_complaints: deque[str] = deque(maxlen=20)


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _hear(level: int, text: bytes, _: object) -> None:
    """llama.cpp writes to stderr otherwise; its errors are kept, to say why a model was not loaded."""
    if level == _ERROR:
        _complaints.append(text.decode("utf-8", "replace").strip())
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s", text.decode("utf-8", "replace").rstrip())


llama_cpp.llama_log_set(_hear, ctypes.c_void_p(0))


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be written on from `tokens`: at most `most` tokens, up to one of the texts `stop`.

    With a `seed`, the same tokens get the same reply: nothing computed for an earlier prompt is used again, since a token's
    numbers differ in their last digits with how many are computed at once.
    """

    tokens: Sequence[int]
    most: int
    stop: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int | None = None
    grammar: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a reply: `evaluated` are those of the prompt's tokens that the model had not just seen."""

    finish: str
    written: int
    evaluated: int
    queue_seconds: float


Item: TypeAlias = str | Done | LLMError


@dataclass(eq=False, slots=True)
class Job:
    """An `Ask` in the queue or at work. `deliver` is called in the worker's thread; set `gone` when nobody waits."""

    ask: Ask
    deliver: Callable[[Item], object]
    asked: float = field(default_factory=time.monotonic)
    gone: bool = False


class _Gone(Exception):
    """Nobody waits for the reply any more."""


class _Model(Llama):  # type: ignore[misc, unused-ignore]
    """`Llama` that keeps off the AMX kernels, counts what it evaluates, and asks before each step if anyone waits."""

    evaluated = 0
    job: Job | None = None

    @property
    def model_params(self) -> Any:
        return self._model_params

    @model_params.setter
    def model_params(self, params: Any) -> None:
        # On a processor with AMX, llama.cpp's kernels for it end the process (SIGSEGV in ggml_backend_amx_mul_mat) on
        # quantised models. `Llama` has no argument for this one parameter. It keeps weights from being packed anew as well,
        # which was measured to help Q4_0 alone (prompts 1.7 times faster), not Q4_K_M, Q4_1 or Q8_0.
        params.use_extra_bufts = False
        self._model_params = params

    def eval(self, tokens: Sequence[int]) -> None:
        for start in range(0, len(tokens), self.n_batch):
            if self.job and self.job.gone:
                raise _Gone
            batch = tokens[start : start + self.n_batch]
            super().eval(batch)
            self.evaluated += len(batch)


class Worker:
    """A model, loaded, with its thread; `ask` never waits, `count` and `tokens` may be called from any thread."""

    def __init__(self, name: str, path: Path, **options: Any) -> None:
        """Load the model; `options` are `Llama`'s. Raises LLMUnavailable."""
        self._name = name
        self._llama = _load(path, options)
        self.context = int(self._llama.context_params.n_ctx)
        self.metadata: dict[str, str] = self._llama.metadata
        self._vocab = llama_cpp.llama_model_get_vocab(self._llama.model)
        self._spaced = self.metadata.get("tokenizer.ggml.model") == "llama"  # SentencePiece: words begin with their space
        self._piece = ctypes.create_string_buffer(256)
        self._tokenizing = threading.Lock()
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._now: Job | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"llama.cpp {name}", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a thread inside llama.cpp while Python ends would crash

    def ask(self, ask: Ask, deliver: Callable[[Item], object]) -> Job:
        """Queue it: `deliver` gets the texts of the reply, then `Done` or an error. Raises LLMError."""
        if len(ask.tokens) >= self.context:
            raise LLMError(
                f"The prompt of {len(ask.tokens):,} tokens does not fit the {self.context:,} of the LLM {self._name}.",
                "Give it a larger n_ctx, or set RAG_BOT_PASSAGES lower.",
            )
        if ask.grammar:
            self._check(ask.grammar)
        job = Job(ask, deliver)
        with self._changed:
            if self._closed:
                raise self._shut()
            if len(self._waiting) >= _WAITING:
                raise LLMBusy(f"The LLM {self._name} is busy: {_WAITING} questions wait for it already.")
            self._waiting.append(job)
            self._changed.notify()
        return job

    def leave(self, job: Job) -> None:
        """Nobody waits for this any more: it gives up its place, or ends before its next token."""
        job.gone = True
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """The tokens of a text; with `special`, marks such as `<|im_start|>` are what they mean. Raises LLMUnavailable."""
        with self._tokenizing:
            if self._closed:
                raise self._shut()
            tokens: list[int] = self._llama.tokenize(text.encode("utf-8", "replace"), add_bos=False, special=special)
        return tokens

    def count(self, text: str) -> int:
        """The tokens of a text. Raises LLMUnavailable."""
        return len(self.tokens(text))

    @property
    def begin(self) -> int | None:
        """The token that every prompt begins with, where the model wants one."""
        wanted = llama_cpp.llama_vocab_get_add_bos(self._vocab)
        return int(llama_cpp.llama_vocab_bos(self._vocab)) if wanted else None

    @property
    def ends(self) -> tuple[str, str]:
        """How the beginning and the end of a text are written in a chat template."""
        vocab = self._vocab
        return self._mark(llama_cpp.llama_vocab_bos(vocab)), self._mark(llama_cpp.llama_vocab_eos(vocab))

    @property
    def marks(self) -> list[str]:
        """The texts that steer the model when they are read as what they mean, such as `<|im_start|>`."""
        steering = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
        attributes = llama_cpp.llama_vocab_get_attr
        found = [self._mark(n) for n in range(self._llama.n_vocab()) if attributes(self._vocab, n) & steering]
        return [mark for mark in found if len(mark) > 1]

    def close(self) -> None:
        """End the thread and free the model; who waits gets LLMUnavailable."""
        atexit.unregister(self.close)
        with self._changed:
            if self._closed:
                return
            self._closed = True
            left = [*self._waiting, *([self._now] if self._now else [])]
            self._waiting.clear()
            if self._now:
                self._now.gone = True
            self._changed.notify()
        for job in left:
            _deliver(job, self._shut())
        self._thread.join()
        with self._tokenizing:
            self._llama.close()

    # --- the thread

    def _run(self) -> None:
        while job := self._next():
            try:
                self._deliver_reply(job)
            except _Gone:
                pass
            except Exception as error:  # a failure of llama.cpp ends this reply, not the thread
                _log.warning("llama.cpp failed", exc_info=True)
                self._llama.reset()
                _deliver(job, LLMError(f"The LLM {self._name} failed: {error}"))

    def _next(self) -> Job | None:
        with self._changed:
            self._now = None
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return None
            self._now = self._waiting.popleft()
            return self._now

    def _deliver_reply(self, job: Job) -> None:
        queue_seconds = time.monotonic() - job.asked
        ask, llama = job.ask, self._llama
        llama.job, llama.evaluated = job, 0
        most = min(ask.most, self.context - len(ask.tokens))
        text = Text(ask.stop)
        finish, written, evaluated = "length", 0, 0
        llama.set_seed(llama_cpp.LLAMA_DEFAULT_SEED if ask.seed is None else ask.seed)
        if ask.seed is not None:
            llama.reset()
        grammar = LlamaGrammar.from_string(ask.grammar) if ask.grammar else None
        for token in llama.generate(ask.tokens, temp=ask.temperature, grammar=grammar):
            if not written:
                evaluated = llama.evaluated
            if llama_cpp.llama_vocab_is_eog(self._vocab, token):
                finish = "stop"
                break
            written += 1
            piece = self._bytes_of(token)
            if written == 1 and self._spaced:
                piece = piece.removeprefix(b" ")
            if ready := text.feed(piece):
                _deliver(job, ready)
            if text.stopped:
                finish = "stop"
                break
            if written >= most:
                break
        if rest := text.end():
            _deliver(job, rest)
        _deliver(job, Done(finish, written, evaluated, queue_seconds))

    def _bytes_of(self, token: int) -> bytes:
        """A token's text; nothing for one that steers."""
        length = llama_cpp.llama_token_to_piece(self._vocab, token, self._piece, len(self._piece), 0, False)
        if length < 0:  # the buffer is too short by so many bytes
            self._piece = ctypes.create_string_buffer(-length)
            length = llama_cpp.llama_token_to_piece(self._vocab, token, self._piece, len(self._piece), 0, False)
        return self._piece.raw[:length]

    # --- helpers

    def _check(self, grammar: str) -> None:
        """llama.cpp crashes on a grammar that it can't read when that comes to it in a sampler."""
        _complaints.clear()
        with self._tokenizing:
            if self._closed:
                raise self._shut()
            sampler = llama_cpp.llama_sampler_init_grammar(self._vocab, grammar.encode(), b"root")
        if not sampler:
            raise LLMError(f"The grammar for the LLM {self._name} can't be used: {'; '.join(_complaints) or 'it is wrong'}.")
        llama_cpp.llama_sampler_free(sampler)

    def _mark(self, token: int) -> str:
        return "" if token < 0 else str(llama_cpp.llama_vocab_get_text(self._vocab, token), "utf-8", "replace")

    def _shut(self) -> LLMUnavailable:
        return LLMUnavailable(f"The LLM {self._name} was closed.")


def _deliver(job: Job, item: Item) -> None:
    if not job.gone or isinstance(item, LLMError):
        try:
            job.deliver(item)
        except RuntimeError:  # its event loop has ended
            job.gone = True


def _load(path: Path, options: dict[str, Any]) -> _Model:
    lora = options.get("lora_path")
    _complaints.clear()
    try:
        model = _Model(str(path), verbose=_log.isEnabledFor(logging.DEBUG), **options)
    except Exception as error:  # llama_cpp's, and those of a chat template that can't be read
        reason = next(iter(_complaints), str(error))
        raise LLMUnavailable(
            f"llama.cpp can't load {path}: {reason}",
            "Is the file whole, and is there memory for it? A smaller n_ctx needs less.",
        ) from error
    if lora and not model._lora_adapter:  # llama_cpp goes on without it
        model.close()
        reason = next(iter(_complaints), "it is no adapter")
        raise LLMUnavailable(f"llama.cpp can't load {lora}: {reason}", "The option lora must name an adapter for this LLM.")
    return model
