"""Exit control: finds in a sentence what could lead a reader or their browser away: links, images, markup, scripts, e-mail
addresses and domains that stand neither in the sources that it cites nor on the list of what is allowed.

A sentence is read in every form that a renderer may come to see: as it stands, without invisible characters, decoded, and
without the marks of emphasis. No form is trusted: an address must be listed in each of them. What begins in an earlier
sentence and ends in this one counts as well.

Judged by whether some renderer makes a link of it, a bare `name.ending` is a domain where the ending is one (`main.py` and
`end.It` are; `report.pdf` and `end.The` are not): such a name passes where the source has it. Defanged addresses
(`hxxp://`, `name[.]com`) are no link to any renderer, but they are written to be followed: they count as what they stand for.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

Kind = Literal["link", "image", "markup", "script", "email", "domain", "data-uri"]


@dataclass(frozen=True, slots=True)
class Exit:
    """A way out that a sentence holds. `reason` says what it is and does not repeat it."""

    kind: Kind
    reason: str


class ExitControl:
    """Says what is wrong with a sentence, if anything is. `allowed` are domains that may be linked to, with all below them."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        self._allowed = frozenset(filter(None, (domain.strip().lower().removeprefix("*").strip(".") for domain in allowed)))
        _suffixes()

    def __call__(self, sentence: str, before: str, sources: Sequence[str]) -> Exit | None:
        """The first way out that is not listed. `before` is what was released so far; `sources` are the texts cited.

        A listed address passes as plain text or as a Markdown link. Images, markup that loads or runs something, scripts
        and `data:` never pass.
        """
        views = _views(sentence)
        if views is None:
            return _BURIED
        open_tag = _ANY_TAG.search(before) is not None
        unbroken = dict.fromkeys([*views, *(_BREAKS.sub("", view) for view in views)])
        if found := _gravest(_never(view, open_tag=open_tag, open_image="![" in before) for view in unbroken):
            return found
        addresses = _addresses_of(views)
        if joint := _completed(before, sentence):
            if isinstance(joint, Exit):
                return joint
            addresses |= joint
        if not addresses:
            return None
        listed = _Listed.of(sources)
        for address in sorted(addresses, key=lambda one: (_ORDER.index(one.kind), one.text)):
            if not listed.has(address) and not self._allows(address):
                return Exit(address.kind, _REASONS[address.kind])
        return None

    def _allows(self, address: _Address) -> bool:
        host = address.host
        if not self._allowed or not _PLAIN_HOST.fullmatch(host):
            return False
        return any(host == domain or host.endswith(f".{domain}") for domain in self._allowed)


_ORDER: tuple[Kind, ...] = ("script", "data-uri", "image", "markup", "link", "email", "domain")  # the gravest first
_REASONS: dict[Kind, str] = {
    "link": "a link that the cited sources don't have",
    "email": "an e-mail address that the cited sources don't have",
    "domain": "a domain that the cited sources don't have",
}
_BURIED = Exit("markup", "text that is encoded again and again")
_PLAIN_HOST = re.compile(r"[\w.-]+")


# --- the forms in which a sentence may be read

_ROUNDS = 5  # encodings inside encodings that are undone
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_ZEROS = re.compile(r"(&#[xX]?)0+(?=[0-9a-fA-F])")
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")  # int() refuses thousands of digits
_WIDE_DOT = re.compile("(?<=[A-Za-z0-9-])。(?=[A-Za-z])")
_EMPHASIS = re.compile(r"[*`~]|<[^<>]*>")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_DEFANGED = re.compile(r"[\[({](?:\.|dot|at|@)[\])}]", re.IGNORECASE)
_DOT = re.compile(r"[\[({]\.[\])}]|\s?[\[({]dot[\])}]\s?", re.IGNORECASE)
_AT = re.compile(r"\s?[\[({](?:at|@)[\])}]\s?", re.IGNORECASE)
_CODED = re.compile(r"\\(?:u\{([0-9a-f]{1,6})\}|u([0-9a-f]{4})|x([0-9a-f]{2})|([0-9a-f]{2,6})[ \t\n]?)", re.IGNORECASE)
_BREAKS = re.compile(r"[\t\n\r]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){8,}")


def _views(text: str) -> list[str] | None:
    """The forms, each once; None for text that is still encoded after all rounds."""
    plain = decoded = _plain(text)
    for _ in range(_ROUNDS):
        further = _decoded(decoded)
        if further == decoded:
            break
        decoded = further
    else:
        return None
    bare = _EMPHASIS.sub("", decoded)
    if _DEFANGED.search(bare):
        bare = _AT.sub("@", _DOT.sub(".", bare))
    views = [plain, decoded, bare]
    if "\\" in decoded:
        views += [_ESCAPED.sub(r"\1", bare), _ESCAPED.sub(r"\1", decoded), _CODED.sub(_character, decoded)]
    hidden = [*_hidden(plain), *(_hidden(decoded) if decoded != plain else ())]
    return list(dict.fromkeys([*views, *hidden]))


def _plain(text: str) -> str:
    """Without what can't be seen, and with one character for those that look and work alike."""
    if text.isascii() and text.isprintable():
        return text
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)))
    return _WIDE_DOT.sub(".", text)


def _decoded(text: str) -> str:
    """One layer of entities and of percent codes less."""
    if "&" in text:
        text = html.unescape(_NO_CHARACTER.sub("\ufffd", _ZEROS.sub(r"\1", text)))
    return _plain(unquote(text) if "%" in text else text)


def _character(code: re.Match[str]) -> str:
    number = int(next(filter(None, code.groups())), 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"


def _hidden(text: str) -> Iterator[str]:
    """What readable text stands in base64 or hexadecimal."""
    for run in _BASE64.findall(text):
        digits = run.rstrip("=").replace("-", "+").replace("_", "/")
        yield from _readable(base64.b64decode(digits[: len(digits) - (len(digits) % 4 == 1)] + "=="))
    for run in _HEX.findall(text):
        yield from _readable(bytes.fromhex(run))


def _readable(data: bytes) -> Iterator[str]:
    text = data.decode("ascii", "replace")
    if text.isprintable() and "\ufffd" not in text:
        yield text


# --- what never passes

# Tags whose content runs, styles or swallows what follows, and tags that load or send. The second kind may also be a type's
# parameter (`List<Object>`): glued to a word and without an attribute, it loads nothing.
_RUNS = "script|style|svg|math|iframe|frame|frameset|noscript|noembed|noframes|xmp|plaintext|xml|portal|fencedframe"
_LOADS = (
    "img|image|object|embed|applet|link|form|base|basefont|meta|audio|video|source|track|picture|input|button|textarea|keygen|"
    "isindex|title|template|bgsound|layer|ilayer|foreignobject|animate\\w*|marquee"
)
_TAG = re.compile(
    rf"</?(?:[\w-]+:)?(?:{_RUNS})(?![\w-])|(?<!\w)</?(?:{_LOADS})(?![\w-])|</?(?:{_LOADS})(?:[\s/]|\Z)", re.IGNORECASE
)
_ANY_TAG = re.compile(r"<[A-Za-z]")
_ATTRIBUTE = re.compile(
    r"[\s\"'/](?:on[a-z]{3,30}|(?:xlink:)?href|src|srcset|srcdoc|ping|style|background|formaction|poster)\s*=", re.IGNORECASE
)
_SCRIPT = re.compile(
    r"(?:java|vb|live)script\s*+:(?:(?<=:)(?=\S)|\s*+[\w.$]++\s*+[(=\[`])|\+ADw-",
    re.IGNORECASE,
)
_DATA = re.compile(r"(?<![\w-])data:\s*+(?:[\w.+-]{1,64}/[\w.+-]|;|,)", re.IGNORECASE)
_MARKUP = re.compile(
    r"""<!(?:--|\[|[a-z]) | <\?(?:xml|php)                                      # comments, declarations, Slack's <!channel>
      | (?<![\w-])(?<!new[ ])url\((?!s\))\s*+["']?[^\s)"'] | @import\s*+["'u]                  # CSS
      | \[(?:url|img|email|video|audio|media|iframe)\s*+= | \[/(?:url|img)\] # BBCode
      | \\(?:href|url|nolinkurl|includegraphics|input|include|html\w+)\s*+[{\[]  # LaTeX
      | `[^`<>]*<[^<>\s]+>`__?                                               # reStructuredText
      | (?<!\S)["'(*_]{0,3}(?:link|image|xref|include|video|audio)::?[^\s\[\]]++\[  # AsciiDoc
      | \[\[[^\[\]]*[/:.][^\[\]]*\]\[                                        # Org
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DEFINITION = re.compile(
    r"(?:^[ \t>*+-]{0,16}\[|\A)[^\[\]\n]{1,999}\]:[ \t]*+(?:<[^<>\n]*>|[^\s<]\S*+)?[ \t]*+(?:$|[\"'(])", re.MULTILINE
)
_TARGET = re.compile(r"\]\(\s*+(?:<([^<>\n]*)>|([^\s()<>]*))")
_ABSOLUTE = re.compile(r"https?:[/\\]{2}|mailto:", re.IGNORECASE)
_INDEXED = re.compile(r"[\w)\]]\[[^\[\]]*\Z")  # `list[0](1)`: of `list` and `1` no renderer can make more than a link to "1"
_ARGUMENT = re.compile(r"[\w=+*-]*")
_JOINT = re.compile(r"\][(\[]")


def _never(view: str, *, open_tag: bool = False, open_image: bool = False) -> Exit | None:
    """What is wrong whatever the sources say. `open_tag` and `open_image`: the text before has a `<x`, a `![`."""
    if ":" in view:
        if _DATA.search(view):
            return Exit("data-uri", "a data: URL")
        if _SCRIPT.search(view):
            return Exit("script", "a script in a URL")
    if found := _never_in_tags(view, open_tag=open_tag) or _never_in_brackets(view, open_image=open_image):
        return found
    if _MARKUP.search(view):
        return Exit("markup", "markup that makes a link or loads something")
    return None


def _gravest(found: Iterable[Exit | None]) -> Exit | None:
    return min(filter(None, found), key=lambda one: _ORDER.index(one.kind), default=None)


def _never_in_tags(view: str, *, open_tag: bool) -> Exit | None:
    if "<" in view and (tag := _TAG.search(view)):
        return Exit("script" if "script" in tag[0].lower() else "markup", "a tag that loads or runs something")
    if "=" in view:
        opened = None if open_tag else _ANY_TAG.search(view)
        begin = 0 if open_tag else opened.start() if opened else len(view) + 1
        if attribute := _ATTRIBUTE.search(f" {view}", begin):
            handler = attribute[0][1:].lower().startswith("on")
            return Exit("script" if handler else "markup", "an attribute of a tag that loads or runs something")
    return None


def _never_in_brackets(view: str, *, open_image: bool) -> Exit | None:
    begun = view.find("![")
    if begun >= 0 and (_JOINT.search(view, begun) or "]" not in view[view.rindex("![") :]):
        return Exit("image", "an image in Markdown")
    if "](" in view or "][" in view:
        if open_image:
            return Exit("image", "the end of an image in Markdown")
        if any(_leads_away(view, link) for link in _TARGET.finditer(view)):
            return Exit("link", "a link in Markdown that is no absolute address")
    if "]:" in view and _DEFINITION.search(view):
        return Exit("link", "a definition of a link")
    return None


def _leads_away(view: str, link: re.Match[str]) -> bool:
    """Whether a Markdown link leads anywhere but to an absolute address, which is looked up by itself."""
    target = link[1] if link[1] is not None else link[2]
    if _ABSOLUTE.match(target):
        return False
    before = view[max(0, link.start() - 64) : link.start()]
    return not (_ARGUMENT.fullmatch(target) and _INDEXED.search(before) and view[link.end() : link.end() + 1] != "")


# --- addresses

_SCHEMES = (  # those that need no `//`
    "https?|hxxps?|ftps?|file|mailto|tel|sms|smsto|callto|skype|facetime|sips?|xmpp|irc|news|magnet|whatsapp|ms-[a-z0-9-]+|blob|"
    "filesystem|view-source|jar|bitcoin|intent"
)
_RUN = re.compile(r"(?<![^\s<>])[^\s<>.:/\\@]*+[.:/\\@][^\s<>]*+")  # of characters without a blank, with a sign of an address
_SCHEME = re.compile(
    rf"(?<![a-z0-9+.-])(?:(?P<drive>[a-z]:\\\\)|[a-z0-9+.-]++:[/\\]{{2}}|(?:{_SCHEMES}):[^\s<>])|(?<=\w):[/\\]{{2}}",
    re.IGNORECASE,
)
_AUTOLINK = re.compile(r"<([a-z][a-z0-9+.-]{1,31}:(?!:)[^\s<>]*)>", re.IGNORECASE)
_AUTOLINKED_EMAIL = re.compile(r"<([^\s<>@]+@[^\s<>]+)>")  # of which the host needs no dot
_WEB = re.compile(r"(?:h(?:tt|xx)ps?:)?[/\\]*(?:www\.)?", re.IGNORECASE)
_NO_SCHEME = re.compile(r"(?<![\w:/\\.])[/\\]{2}(?=localhost\b|\[|[^\s/\\?#.]+\.)|(?<![\w.-])www\.", re.IGNORECASE)
_BREAK = "<>\"'()\\[\\]{},;:!?/\\\\@#|=&%$^+*~`“”‘’«»„‹›"
_NAME = re.compile(rf"[^\s{_BREAK}]+")
_DOTTED = re.compile(r"(?<![^.])[^.]++(?:\.[^.]++)+")
_ON = re.compile(r"\.?(?:[/\\]|[?#]\S|:\d)")  # what makes more than a name of it: a path, a query, a port
_EMAIL = re.compile(rf"(?<![^\s<>()\[\]@\"'`|*])[^\s<>()\[\]@\"'`|*]++@\[?([^\s{_BREAK}]+)")
_NUMBERS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_CLOSERS = ".,;:!?'\")]}*_~`|/…”’»。，、；：！？）】」』"
_SPECIAL = frozenset("example invalid test localhost local internal lan onion".split())  # endings that the list doesn't have
_LATIN = str.maketrans("аеорсухіјѕһԛԝԁӏοαρν", "aeopcyxijshqwdloapv")


@dataclass(frozen=True, slots=True)
class _Address:
    """An address as it is compared: for the web without `http://` and `www.`, the host in small letters.

    `host` is empty where none can be allowed by name: another scheme, or a user's name before the host.
    """

    kind: Kind
    text: str
    host: str


def _addresses_of(views: Sequence[str]) -> set[_Address]:
    return {address for view in views for address in _addresses(view)}


def _addresses(view: str) -> Iterator[_Address]:
    if "<" in view:
        yield from map(_link, _AUTOLINK.findall(view))
        yield from map(_email, _AUTOLINKED_EMAIL.findall(view))
    for run in _RUN.findall(view):
        for part in run.split("]("):
            yield from _in_part(part)


def _in_part(part: str) -> Iterator[_Address]:
    """The addresses in a run of characters without a blank. One with a path takes in all that follows it."""
    found = next((match for match in _SCHEME.finditer(part) if not match["drive"]), None) or _NO_SCHEME.search(part)
    if found:
        yield _link(part[found.start() :])
        part = part[: found.start()]
    if "@" in part:
        emails = [match[0] for match in _EMAIL.finditer(part) if _ends_in_host(match)]
        yield from map(_email, emails)
        part = _EMAIL.sub(lambda match: " " if _ends_in_host(match) else match[0], part)
    for name in _NAME.finditer(part):
        for dotted in _DOTTED.finditer(name[0]):
            host = dotted[0].rstrip("-_")
            if not _is_host(host):
                continue
            if _ON.match(part, name.start() + dotted.end()):
                yield _link(part[name.start() + dotted.start() :])
                return
            host = host.lower().removeprefix("www.")
            yield _Address("domain", host, host)


def _link(text: str) -> _Address:
    if text.lower().startswith("mailto:") and "?" not in text:
        return _email(text[7:])
    web = _WEB.match(text)
    rest = text[web.end() :] if web else text
    cut = re.search(r"[/\\?#]", rest)
    end = cut.start() if cut else len(rest)
    authority = rest[:end].lower()
    if _SCHEME.match(rest):
        return _Address("link", rest, "")
    host, _, port = authority.rstrip(_CLOSERS).partition(":")
    return _Address("link", authority + rest[end:], host if not port or port.isdecimal() else "")


def _email(text: str) -> _Address:
    address = text.lower().lstrip(_CLOSERS + "{=&#").rstrip(_CLOSERS)
    return _Address("email", address, address.rpartition("@")[2])


def _ends_in_host(email: re.Match[str]) -> bool:
    return _is_host(email[1].rstrip("._-"), any_ending=True)


def _is_host(name: str, *, any_ending: bool = False) -> bool:
    """Whether a dotted name can be a host: its ending is one of a domain (or any word), or it is an IPv4 address."""
    ending = name.rpartition(".")[2].lower()
    if ending.isdecimal():
        return _NUMBERS.fullmatch(name) is not None and all(int(number) < 256 for number in name.split("."))
    return "." in name and (_is_ending(ending) or (any_ending and ending[-1:].isalpha()))


@lru_cache(maxsize=4096)
def _is_ending(label: str) -> bool:
    if len(label) > 63:
        return False
    if not label.isascii() and any("a" <= letter <= "z" for letter in label):
        label = label.translate(_LATIN)
    return label.startswith("xn--") or label in _SPECIAL or _suffixes().is_public(label, accept_unknown=False)


@cache
def _suffixes() -> PublicSuffixList:
    """Mozilla's public suffix list as the package ships it; nothing is fetched."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(only_icann=True)


@lru_cache(maxsize=256)  # the sentences of an answer lean on the same few passages
def _stated(source: str) -> frozenset[_Address]:
    return frozenset(_addresses_of(_views(source) or [source]))


@dataclass(frozen=True, slots=True)
class _Listed:
    """What the sources have."""

    links: frozenset[str]
    emails: frozenset[str]
    hosts: frozenset[str]

    @classmethod
    def of(cls, sources: Sequence[str]) -> _Listed:
        found = {address for source in sources for address in _stated(source)}
        links = {ending for one in found if one.kind == "link" for ending in (*_endings(one.text), *_endings(_ascii(one.text)))}
        hosts = {one.host for one in found} - {""}
        # Of a long name also the part that is registered: of `docs.example.com` also `example.com`.
        owners = {_suffixes().privatesuffix(host, accept_unknown=False) for host in hosts if not _NUMBERS.fullmatch(host)}
        emails = {one.text for one in found if one.kind == "email"}
        return cls(frozenset(links), frozenset(emails), frozenset(hosts | {owner for owner in owners if owner}))

    def has(self, address: _Address) -> bool:
        if address.kind == "email":
            return address.text in self.emails
        if address.kind == "domain":
            return address.host in self.hosts
        bare = address.host and address.text.rstrip(_CLOSERS) == address.host
        return bool(bare and address.host in self.hosts) or any(text in self.links for text in _endings(address.text))


def _endings(text: str) -> Iterator[str]:
    """The text, and it without the marks that may close the sentence around it, one less each time."""
    yield text
    bare = text.rstrip(_CLOSERS)
    for end in range(len(text) - 1, max(len(bare), len(text) - 12), -1):
        yield text[:end]
    yield bare


def _ascii(text: str) -> str:
    """What stands before the first letter of another script, where no blank parts a URL from the sentence."""
    return next((text[:at] for at, letter in enumerate(text) if letter > "\x7f"), text)


# --- what was begun in an earlier sentence

_NEAR = 200  # characters before the seam
_MARKS = re.compile(r"(?:\s*\[\d{1,3}\])+\s*\Z")
_ENDED = frozenset('.!?…:;,)]}"”’»|')
_OPEN = re.compile(r"<(?:/?[a-z][^\s<>]*)?\Z", re.IGNORECASE)
_GOES_ON = re.compile(r"[.@/\\]{0,2}[a-z+-]|:\S")
_TARGET_FIRST = re.compile(r"\([^\s()]*[/.:#\\][^\s()]*\)")
_ENDING_FIRST = re.compile(r"[a-z]{2,24}[/?#:]\S|com\b|(?:net|org)\W*\Z")


def _completed(before: str, sentence: str) -> Exit | set[_Address] | None:
    """What the end of the text before and the beginning of the sentence make together, glued as if nothing parted them."""
    tail, head = _MARKS.sub("", before[-_NEAR:]).rstrip(), sentence.lstrip()
    if not tail or not head or not _may_go_on(tail, head):
        return None
    glued, alone = _views(tail + head), _views(tail)
    if glued is None or alone is None:
        return None
    if not any(map(_never, alone)) and (found := _gravest(map(_never, glued))):
        return Exit(found.kind, f"{found.reason}, begun in an earlier sentence")
    # "this is the end." and "in the list" make no "end.in", "these files:" and "a.txt" no address.
    apart = tail[-1] == ":" or not _GOES_ON.match(head) or (tail[-1] == "." and not _ENDING_FIRST.match(head))
    if apart and not _OPEN.search(tail):
        return None
    ended, begun = _addresses_of(alone), _addresses_of(_views(head) or [head])
    made = _addresses_of(glued)  # a whole address on one side of the seam is not made longer by the other
    made -= {one for one in made for old in ended if one.text.startswith(old.text)}
    return made - {one for one in made for new in begun if one.text.endswith(new.text)}


def _may_go_on(tail: str, head: str) -> bool:
    """False where a text that ended and one that begins meet, as sentences do."""
    if head[0] in "([":
        return tail[-1] == "]" and _TARGET_FIRST.match(head) is not None
    return tail[-1] not in _ENDED or head[0].islower() or head[0] in "/\\=." or _OPEN.search(tail) is not None
