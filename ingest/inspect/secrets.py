"""Finds keys, tokens and passwords: by the shapes that their makers gave them, and by a word before them that says so.

The shapes are a table of our own: detect-secrets reads line by line through global settings and doesn't say where in the line
a secret stands, and gitleaks, whose published shapes most of these are, is a program of its own. Every step takes time in
proportion to the text's length.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.inspect import Finding
from ingest.inspect.reading import read, settled

_KEY_BLOCK = 20_000  # characters: a private key of 16,384 bits has some 12,500


def find_secrets(text: str) -> list[Finding]:
    """Secrets, in the order of the text and none over another; the kind says whose key it is, or `password`, `assignment`.

    A score of 1 stands for a shape that nothing else has; what only a word beside it gives away has less. Of a connection
    string and of an assignment, the secret itself is the finding, not the whole.
    """
    reading = read(text)
    found = [*_shaped(reading.text), *_carried(reading.text), *_key_blocks(reading.text), *_said(reading.text)]
    return [Finding("secret", one.kind, *reading.span(one.start, one.end), one.score, one.note) for one in settled(found)]


# --- shapes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shape:
    """A maker's shape. `words`: one of them stands in every text that holds it, which is far quicker to look for."""

    kind: str
    words: tuple[str, ...]
    form: re.Pattern[str]


def _shape(kind: str, words: str, form: str) -> _Shape:
    # No letter before or after, so that a long run is tried once and a piece of something else is no key.
    return _Shape(kind, tuple(words.split()), re.compile(rf"(?<![A-Za-z0-9_])(?:{form})(?![A-Za-z0-9_])"))


_SHAPES = (
    _shape("aws_key", "AKIA ASIA ABIA ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    _shape("google_key", "AIza", r"AIza[\w-]{35}"),
    _shape("google_token", "ya29. GOCSPX-", r"ya29\.[\w-]{20,512}|GOCSPX-[\w-]{28}"),
    _shape("azure_secret", "Q~", r"[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}"),
    _shape("github_token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{60,255}"),
    _shape(
        "gitlab_token",
        "glpat- gldt- glrt- glptt- glft- glsoat- glcbt- glimt- glagent- gloas-",
        r"gl(?:pat|dt|rt|ptt|ft|soat|cbt|imt|agent|oas)-[\w-]{20,255}",
    ),
    _shape("slack_token", "xox xapp-", r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,255}|xapp-[0-9]-[A-Za-z0-9-]{20,255}"),
    _shape("slack_webhook", "hooks.slack.com", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,100}"),
    _shape("stripe_key", "_live_ _test_ whsec_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}|whsec_[A-Za-z0-9+/=]{24,100}"),
    _shape("anthropic_key", "sk-ant-", r"sk-ant-[a-z0-9]{2,20}-[\w-]{20,255}"),
    _shape(
        "openai_key",
        "sk-",
        r"sk-(?:proj|svcacct|admin|None|service)-[\w-]{20,255}|sk-(?=[A-Za-z]{0,80}[0-9])[A-Za-z0-9]{32,80}|sk-or-v1-[0-9a-f]{64}",
    ),
    _shape("nvidia_key", "nvapi-", r"nvapi-[\w-]{40,100}"),
    _shape("huggingface_token", "hf_ api_org_", r"hf_[A-Za-z0-9]{30,100}|api_org_[A-Za-z]{34}"),
    _shape("npm_token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _shape("pypi_token", "pypi-", r"pypi-[\w-]{50,500}"),
    _shape("twilio_key", "SK", r"SK[0-9a-f]{32}"),
    _shape("sendgrid_key", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    _shape("mail_key", "key- -us xkeysib-", r"key-[0-9a-f]{32}|[0-9a-f]{32}-us[0-9]{1,2}|xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    _shape("databricks_token", "dapi", r"dapi[0-9a-f]{32}(?:-[0-9])?"),
    _shape("telegram_token", ":AA", r"[0-9]{8,10}:AA[\w-]{33}"),
    _shape(
        "api_key",  # others, each known by its first letters alone
        "dop_v1_ doo_v1_ shp hvs. glsa_ ATATT3 lin_api_ ntn_ PMAK- dp.pt. pscale_ gsk_ xai- r8_ pplx- lsv2_ sq0",
        r"do[opr]_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-f]{32}|hvs\.[\w-]{24,255}|glsa_\w{32,60}|ATATT3[\w=-]{50,255}|"
        r"lin_api_[A-Za-z0-9]{40}|ntn_[A-Za-z0-9]{40,60}|PMAK-[0-9a-f]{24}-[0-9a-f]{34}|dp\.pt\.[A-Za-z0-9]{40,44}|"
        r"pscale_\w{3,6}_[\w.-]{32,64}|gsk_[A-Za-z0-9]{48,60}|xai-[A-Za-z0-9]{60,90}|r8_[A-Za-z0-9]{37}|pplx-[A-Za-z0-9]{40,60}|"
        r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}|sq0(?:atp|csp)-[\w-]{22,43}",
    ),
    _shape("age_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
)
_JWT = re.compile(r"(?<![\w-])(?P<head>eyJ[\w-]{10,2000})\.[\w-]{4,8000}\.[\w-]{0,2000}")
_STORAGE = re.compile(
    r"(?:AccountKey|SharedAccessKey)=(?P<key>[A-Za-z0-9+/]{40,100}={0,2})|[?&]sig=(?P<sig>[A-Za-z0-9%+/]{40,100}={0,2})"
)
_USER_OF_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@'\"<>]{0,100}:(?P<value>[^\s/@'\"<>]{1,200})@(?=[\w\[])"
)
_HEADER = re.compile(r"\b(?:bearer|basic)[ \t]{1,3}(?P<value>[A-Za-z0-9+/._~-]{16,2000}={0,2})", re.IGNORECASE)


def _shaped(text: str) -> Iterator[Finding]:
    for shape in _SHAPES:
        if any(word in text for word in shape.words):
            for match in shape.form.finditer(text):
                yield Finding("secret", shape.kind, *match.span(), 1.0, "the shape of its maker's keys")


def _carried(text: str) -> Iterator[Finding]:
    """What tokens, addresses and headers carry."""
    if "eyJ" in text:
        for match in _JWT.finditer(text):
            if _is_jwt(match["head"]):
                yield Finding("secret", "jwt", *match.span(), 1.0, "a JSON Web Token")
    if "Key=" in text or "sig=" in text:
        for match in _STORAGE.finditer(text):
            yield Finding("secret", "azure_key", *match.span("key" if match["key"] else "sig"), 0.9, "a storage account's key")
    if "://" in text and "@" in text:
        for match in _USER_OF_URL.finditer(text):
            if not _stands_for(match["value"]):
                yield Finding("secret", "url_password", *match.span("value"), 0.9, "a password in an address")
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        for match in _HEADER.finditer(text):
            if _random(match["value"]) and not _stands_for(match["value"]):
                yield Finding("secret", "authorization", *match.span("value"), 0.8, "what an Authorization header carries")


def _is_jwt(head: str) -> bool:
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and ("alg" in header or "typ" in header)


_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PUTTY = re.compile(r"Private-Lines: ?[0-9]{1,4}")
_KEY_LINES = re.compile(
    r"(?:(?:\\[nr]|[\s>|]){0,9}+(?:(?:Proc-Type|DEK-Info|Version|Comment):[^\n\\]{0,90}+|[A-Za-z0-9+/=]{16,}+))++"
)


def _key_blocks(text: str) -> Iterator[Finding]:
    """Private keys in PEM's and PuTTY's form, with something in them; of one without an end, the lines that belong to it."""
    for sign, begins in (("PRIVATE KEY", _BEGIN), ("Private-Lines", _PUTTY)):
        for match in begins.finditer(text) if sign in text else ():
            if lines := _KEY_LINES.match(text, match.end(), match.end() + _KEY_BLOCK):
                end = _END.search(text, lines.end(), lines.end() + 120)
                yield Finding("secret", "private_key", match.start(), end.end() if end else lines.end(), 1.0, "a private key")


# --- said to be one ----------------------------------------------------------------------------------------------------

_PASSWORD = (
    r"pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|mot de passe|contraseña|wachtwoord|senha|hasło|lösenord|пароль|密码|"
    r"パスワード"
)
_KEY = (
    r"(?:api|access|auth|private|secret|client|account|encryption|signing|service|app|master|license|licence|shared)"
    r"[ _-]?(?:key|secret|token)|secret|token|credentials?|api[ _-]?schlüssel"
)
# What is given: after a sign as programs and settings write it, or after "is" as people do.
_SAYS = re.compile(
    rf"(?<!:)(?:(?P<password>{_PASSWORD})|(?P<key>{_KEY}))"
    r"(?:[\"'`]?[ \t]{0,3}(?:=>|:=|==?|:)[ \t]{0,3}|"
    r"(?P<is>[ \t]{1,3}(?:is|was|are|ist|est|es|è|lautet)(?::|[ \t]now)?[ \t]{1,3}))"
    r"(?:[\"'`“‘«](?P<quoted>[^\"'`”’»\n]{1,200})[\"'`”’»]|(?P<bare>[^\s\"'`,;<>(){}\[\]]{4,200}))",
    re.IGNORECASE,
)
_WORDS = (
    "pass pwd kennwort contraseñ wachtw senha hasło lösenord пароль 密码 パスワード key secret token credential schlüssel"
).split()
# What stands for a secret and is none: a name for it, a setting's or variable's name, a hint, a mask.
_PLACEHOLDER = re.compile(
    r"(?<![^\W_])(?:(?:your|example|placeholder|change_?me|redacted|dummy|sample|getenv)(?![^\W_])|"
    r"(?:process|config|settings|self|this|request|args|secrets?|vault|arn|os|env)[.:(])|x{4,}|\*{2,}|\.{3}|…|█|<|>|\$[{(\w]|\{\{|%[({]|^\{|^%\w+%$|^@|https?:|^/|^\./|^~/|"
    r"^[a-z_-]*(?:password|passwd|secret|token|api_?key)s?[a-z_-]*$|^(?:none|null|nil|true|false|undefined|string|required)$",
    re.IGNORECASE,
)
_TRIMMED = ".,;:!?)]}'\"”’»"
_MEASURE = re.compile(
    r"[0-9]{1,4}-?(?:bit|byte|char|digit|day|hour|min|sec|month|year|time|word|letter)[a-z-]*|v?[0-9]+(?:\.[0-9]+)+|[0-9:./-]+",
    re.I,
)


def _said(text: str) -> Iterator[Finding]:
    lowered = text.lower()
    if not any(word in lowered for word in _WORDS):
        return
    for match in _SAYS.finditer(text):
        group = "quoted" if match["quoted"] else "bare"
        value = match[group] if group == "quoted" else match[group].rstrip(_TRIMMED)
        start = match.start(group)
        if not value or _stands_for(value):
            continue
        if match["password"]:
            if _password(value, in_quotes=group == "quoted", in_prose=match["is"] is not None):
                yield Finding("secret", "password", start, start + len(value), 0.8, "said to be a password")
        elif _random(value):
            yield Finding("secret", "assignment", start, start + len(value), 0.8, "said to be a key, and it looks random")


def _stands_for(value: str) -> bool:
    return _PLACEHOLDER.search(value) is not None


def _password(value: str, *, in_quotes: bool, in_prose: bool) -> bool:
    """Whether a value can be a password: not a word of the sentence ("is changed"), a measure or a date."""
    if len(value) < 4 or " " in value or len(set(value)) < 3:
        return False
    if value.isdigit():
        return len(value) >= (4 if in_prose else 6)
    if _MEASURE.fullmatch(value):
        return False
    letters = any(map(str.isalpha, value))
    others = any(not character.isalpha() and character not in "-_'’./:" for character in value)
    return (letters and others and len(value) >= 5) or (in_quotes and letters)


def _random(value: str) -> bool:
    """Whether a value looks drawn by chance: long, with digits among its letters, and no few characters again and again."""
    if len(value) < 16 or " " in value or not any(map(str.isdigit, value)) or not any(map(str.isalpha, value)):
        return False
    if re.search(r"[^\w+/=.~-]", value):
        return False
    counts = Counter(value)
    bits = -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())
    # Drawn by chance, 86 of 100 strings of 16 hexadecimal digits have 3 bits a character, 97 of 100 of 20 digits, and nearly
    # all of 16 letters and digits. Words joined by hyphens may have as much: they are told by their few digits.
    return bits >= 3.0 and (sum(map(str.isdigit, value)) >= 3 or _mixed(value))


def _mixed(value: str) -> bool:
    """Whether large letters stand among small ones otherwise than at the beginnings of words."""
    return len(re.findall(r"[a-z][A-Z]|[A-Z]{2}[a-z]|[0-9][A-Za-z]", value)) >= 4
