"""How styles hide text, as far as inline styles and rules with simple selectors tell: too small, off the page, unseen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

RGB = tuple[int, int, int]
WHITE: RGB = (255, 255, 255)
_NEAR = 30  # of 255, in the channel that differs most: a light grey on white that nobody notices
_TINY = 3.0  # pixels: some two points
_FAR = -900.0  # pixels
_SEE_THROUGH = 0.05
_MOST_RULES = 5_000
_LONGEST_SHEET = 400_000  # characters

_COMMENT = re.compile(r"/\*(?:[^*]|\*(?!/))*(?:\*/|$)")
_SIMPLE = re.compile(r"\s*(?:([a-z][a-z0-9]*)|([.#])(-?[_a-z][-\w]*))\s*$", re.IGNORECASE)
_LENGTH = re.compile(
    r"\s*([-+]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))\s*(px|pt|em|rem|ex|ch|%|vw|vh|in|cm|mm|pc)?", re.IGNORECASE
)
_PIXELS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "in": 96.0, "cm": 37.8, "mm": 3.78, "pc": 16.0, "rem": 16.0, "vw": 12.8, "vh": 7.2}
_SIZES = {
    "xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "xx-large": 32.0,
}  # fmt: skip
_NAMED: dict[str, RGB] = {
    "white": WHITE, "black": (0, 0, 0), "red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0),
    "gray": (128, 128, 128), "grey": (128, 128, 128), "silver": (192, 192, 192), "navy": (0, 0, 128), "maroon": (128, 0, 0),
    "snow": (255, 250, 250), "ivory": (255, 255, 240), "ghostwhite": (248, 248, 255), "whitesmoke": (245, 245, 245),
    "floralwhite": (255, 250, 240), "azure": (240, 255, 255), "mintcream": (245, 255, 250), "seashell": (255, 245, 238),
    "lightgray": (211, 211, 211), "lightgrey": (211, 211, 211), "orange": (255, 165, 0), "purple": (128, 0, 128),
}  # fmt: skip
_HEX = re.compile(r"#([0-9a-f]{8}|[0-9a-f]{6}|[0-9a-f]{4}|[0-9a-f]{3})\b")
_SIX_DIGITS = re.compile(r"[0-9a-fA-F]{6}")
_FUNCTION = re.compile(r"(rgb|hsl)a?\(([^()]{1,80})\)")
_NUMBER = re.compile(r"(\d{1,4}(?:\.\d{0,6})?|\.\d{1,6})(%?)")
_NOTHING_LEFT = re.compile(
    r"rect\(\s*[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?|inset\(\s*(?:[5-9]\d|100)%"
)
_MOVED_AWAY = re.compile(r"translate[xy]?\([^()]{0,40}-\d{4,}px|scale[xy]?\(\s*0(?:\.0\d*)?\s*[,)]")

Declarations = dict[str, str]
# The properties that can hide text; a rule with none of them may have any selector.
_WATCHED = frozenset(
    "display visibility opacity color background background-color background-clip -webkit-background-clip font font-size "
    "position left top right bottom text-indent margin-left clip clip-path transform filter -webkit-text-fill-color".split()
)


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour, and how much of it is seen (0 to 1)."""

    rgb: RGB
    alpha: float = 1.0


def declarations(style: str) -> Declarations:
    """The properties that can hide text in a `style` attribute or a rule's body, in lower case."""
    found: Declarations = {}
    for part in style.split(";"):
        name, colon, value = part.partition(":")
        name = name.strip().lower()
        if colon and name in _WATCHED:
            found[name] = value.partition("!")[0].strip().lower()
    return found


def near(one: RGB, other: RGB) -> bool:
    """Whether a reader can't tell the two colours apart at a glance."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= _NEAR


def from_digits(digits: str) -> RGB | None:
    """The colour that six hexadecimal digits stand for; None for anything else."""
    if not _SIX_DIGITS.fullmatch(digits):
        return None
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def colour(value: str) -> Colour | None:
    """The first colour in a value; None where there is none that is known."""
    if hexadecimal := _HEX.search(value):
        digits = hexadecimal[1]
        pairs = [digits[i : i + 2] for i in range(0, len(digits), 2)] if len(digits) > 4 else [d * 2 for d in digits]
        red, green, blue, *alpha = (int(pair, 16) for pair in pairs)
        return Colour((red, green, blue), alpha[0] / 255 if alpha else 1.0)
    if function := _FUNCTION.search(value):
        return _from_function(function[1], function[2])
    words = value.split()[:8]
    if "transparent" in words:
        return Colour(WHITE, 0.0)
    return next((Colour(_NAMED[word]) for word in words if word in _NAMED), None)


def _from_function(name: str, arguments: str) -> Colour | None:
    numbers = [(float(number), percent) for number, percent in _NUMBER.findall(arguments)]
    if len(numbers) < 3:
        return None
    alpha = (numbers[3][0] / 100 if numbers[3][1] else numbers[3][0]) if len(numbers) > 3 else 1.0
    if name == "hsl":  # only what is as good as white or black has a colour that does not need the hue
        light = numbers[2][0]
        return Colour((round(light * 2.55),) * 3, alpha) if light >= 97 or light <= 3 else None
    red, green, blue = (round(n * 2.55 if percent else n) for n, percent in numbers[:3])
    return Colour((red, green, blue), alpha)


@dataclass(slots=True)
class Sheet:
    """The rules of a page's `<style>` elements that have simple selectors: a tag, a class or an id.

    `complete` says that nothing else can have a say in colours and sizes, `still` that no script can either.
    """

    by_name: dict[str, Declarations] = field(default_factory=dict)
    complete: bool = True
    still: bool = True

    def read(self, text: str) -> None:
        """Take in the text of a `<style>` element."""
        if len(text) > _LONGEST_SHEET:
            self.complete = False
            return
        # What stands inside `@media` and the like has its braces in braces: it is passed over.
        depth, selector, rules = 0, "", 0
        for part in re.split(r"([{}])", _COMMENT.sub(" ", text)):
            if part == "{":
                depth += 1
            elif part == "}":
                depth = max(0, depth - 1)
            elif depth == 0:
                selector = part.rpartition(";")[2]
                self.complete = self.complete and "@import" not in part
            elif depth == 1 and not selector.lstrip().startswith("@"):
                rules += 1
                if rules > _MOST_RULES:
                    self.complete = False
                    return
                self._rule(selector, declarations(part))
            elif depth > 1 and declarations(part):
                self.complete = False

    def _rule(self, selectors: str, found: Declarations) -> None:
        for selector in selectors.split(",") if found else ():
            if match := _SIMPLE.match(selector):
                name = match[1].lower() if match[1] else f"{match[2]}{match[3]}"
                self.by_name[name] = {**self.by_name.get(name, {}), **found}
            else:
                self.complete = False

    def declared(self, tag: str, attributes: Mapping[str, str | None]) -> Declarations:
        """What the rules say of an element."""
        if not self.by_name:
            return {}
        names = [tag, *(f".{name}" for name in (attributes.get("class") or "").split()), f"#{attributes.get('id')}"]
        found: Declarations = {}
        for name in names:
            found.update(self.by_name.get(name, ()))
        return found


@dataclass(frozen=True, slots=True)
class Look:
    """How the text of an element looks. A colour that is None is unknown; the background is white until something is said.

    `lost` is the way in which an element around the text hides all in it; `kind` is the way in which this text is hidden, ''
    if a reader sees it. Both come with whether that is sure.
    """

    ink: Colour | None = None
    ink_inline: bool = False
    paper: RGB | None = WHITE
    paper_inline: bool = False
    size: float = 16.0
    size_inline: bool = False
    lost: tuple[str, bool] = ("", False)
    kind: tuple[str, bool] = ("", False)

    def inside(self, inline: Declarations, ruled: Declarations, sheet: Sheet) -> Look:
        """The look of an element with these declarations inside one that has this look."""
        both = {**ruled, **inline}
        look = _painted(self, both, inline)
        if size := both.get("font-size") or both.get("font"):
            look = replace(
                look, size=_size(size, look.size, shorthand="font-size" not in both), size_inline="font-size" in inline
            )
        if not look.lost[1] and (way := _lost(both)):
            look = replace(look, lost=(way, bool(_lost(inline)) or (sheet.complete and sheet.still)))
        return replace(look, kind=look._way(sheet))

    def _way(self, sheet: Sheet) -> tuple[str, bool]:
        found = [self.lost] if self.lost[0] else []
        if self.size < _TINY:
            found.append(("tiny", self.size_inline or sheet.complete))
        if self.ink and self.ink.alpha < _SEE_THROUGH:
            found.append(("transparent", self.ink_inline or sheet.complete))
        elif self.ink and self.paper and near(self.ink.rgb, self.paper):
            found.append(("white", sheet.complete or (self.ink_inline and self.paper_inline)))
        return max(found, key=lambda way: way[1], default=("", False))


def _painted(look: Look, both: Declarations, inline: Declarations) -> Look:
    for name in ("background", "background-color"):
        if value := both.get(name):
            # A picture or a course of colours may have any.
            plain = None if re.search(r"url\(|gradient|var\(", value) else colour(value)
            if plain is None and not re.match(r"none|inherit|initial|unset", value):
                look = replace(look, paper=None)
            elif plain and plain.alpha > 0.5:
                look = replace(look, paper=plain.rgb, paper_inline=name in inline)
    for name in ("color", "-webkit-text-fill-color"):
        if (value := both.get(name)) and value not in ("inherit", "currentcolor"):
            look = replace(look, ink=colour(value), ink_inline=name in inline)
    if "text" in (both.get("background-clip"), both.get("-webkit-background-clip")):  # letters cut out of the background
        look = replace(look, ink=None, paper=None)
    return look


def _size(value: str, above: float, *, shorthand: bool) -> float:
    """A font's size in pixels."""
    for word in value.split()[:8]:
        word = word.partition("/")[0]
        if word in _SIZES:
            return _SIZES[word]
        match = _LENGTH.match(word)
        unit = (match[2] or "").lower() if match else ""
        if match and (unit or not shorthand or float(match[1]) == 0):  # in `font`, a number without a unit is a weight
            if unit in ("em", "%", "ex", "ch"):
                return above * float(match[1]) * (0.01 if unit == "%" else 1.0 if unit == "em" else 0.5)
            return float(match[1]) * _PIXELS[unit]
    return above


def _lost(found: Declarations) -> str:
    """The way in which an element hides all that is in it, '' where it does not."""
    if found.get("display") == "none" or found.get("visibility") in ("hidden", "collapse"):
        return "not displayed"
    if (opacity := _LENGTH.match(found.get("opacity", ""))) and float(opacity[1]) < _SEE_THROUGH:
        return "transparent"
    if re.search(r"opacity\(\s*0(?:\.0\d*)?%?\s*\)", found.get("filter", "")):
        return "transparent"
    placed = ("left", "top", "right", "bottom") if found.get("position") in ("absolute", "fixed", "relative") else ()
    for name in (*placed, "text-indent", "margin-left"):
        if (length := _LENGTH.match(found.get(name, ""))) and (length[2] or "px") != "%":
            scale = _PIXELS.get((length[2] or "").lower(), 16.0)
            if float(length[1]) * scale < _FAR:
                return "off page"
    clipped = f"{found.get('clip', '')} {found.get('clip-path', '')}"
    if _NOTHING_LEFT.search(clipped) or _MOVED_AWAY.search(found.get("transform", "")):
        return "off page"
    return ""
