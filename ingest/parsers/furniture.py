"""What stands around the content of a web page: menus, banners, footers, boxes of links. By rules that a person can follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_LEAST_MAIN = 0.4  # of a page's text: less can't be all that its author calls the main content
_LEAST_LEFT = 0.3  # of a page's text: where less would be left, the rules don't fit the page and nothing is left out
_LEAST_CHARACTERS = 140
_LINKED = 0.5  # share of the text that is links
_MOST_LINKED = 0.8  # the same for a list with nothing else to tell what it is
_FEWEST_LINKS = 5
_MOST_NODES = 5000  # that are looked at
_FRAMES = "header, footer, aside, [role=banner], [role=contentinfo], [role=complementary], [role=search]"
_CONTENT = frozenset(("main", "article"))
_NAMED = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navbox|navigation|menu|sidebar|breadcrumbs?|footer|masthead|share|sharing|social|related|toc|pager"
    r"|pagination|catlinks|interlanguage|skip|jump|toolbar|widget|promo)(?:$|[\s_-])",
    re.IGNORECASE,
)
_ALWAYS = re.compile(
    r"(?:^|[\s_-])(?:cookies?|consent|gdpr|advert(?:isement|ising)?|editsection|noprint|newsletter)(?:$|[\s_-])", re.IGNORECASE
)


def furniture(root: LexborNode) -> frozenset[int]:
    """The ids of the nodes of a page that are no part of its content, the outermost of each."""
    found = {node.mem_id: node for node in _around(root)}
    outermost = [node for node in found.values() if not any(parent.mem_id in found for parent in _above(node))]
    whole = _length(root)
    left = whole - sum(map(_length, outermost))
    if left < max(_LEAST_LEFT * whole, min(whole, _LEAST_CHARACTERS)):
        return frozenset()
    return frozenset(found)


def _around(root: LexborNode) -> Iterator[LexborNode]:
    mains = root.css("main, [role=main]")
    whole = _length(root)
    if len(mains) == 1 and _length(mains[0]) >= _LEAST_MAIN * whole:
        yield from _outside(mains[0])
    for node in root.css(_FRAMES):
        in_content = any(parent.tag in _CONTENT or parent.attributes.get("role") == "main" for parent in _above(node))
        # The title of the page may stand in its header.
        if not in_content and node.css_first("h1, main, article, [role=main]") is None:
            yield node
    for node in root.css("[class], [id]")[:_MOST_NODES]:
        if node.tag in ("body", "html", "main", "article", "h1"):
            continue
        name = f"{node.attributes.get('class') or ''} {node.attributes.get('id') or ''}"
        if _ALWAYS.search(name) or (_NAMED.search(name) and _linked(node) >= _LINKED):
            yield node
    for node in root.css("ul, ol")[:_MOST_NODES]:
        if not any(parent.tag in _CONTENT for parent in _above(node)) and _is_menu(node):
            yield node


def _outside(main: LexborNode) -> Iterator[LexborNode]:
    """What stands before, behind and beside the main content, but for where the title may be."""
    node: LexborNode | None = main
    while node is not None and node.tag != "body":
        parent = node.parent
        other = parent.first_child if parent is not None else None
        while other is not None:
            tag = other.tag or "-"
            beside = other.mem_id != node.mem_id and tag not in ("h1", "style", "script") and not tag.startswith("-")
            if beside and other.css_first("h1") is None:
                yield other
            other = other.next
        node = parent


def _is_menu(node: LexborNode) -> bool:
    """Whether a list is short links and nothing else."""
    links = node.css("a")
    if len(links) < _FEWEST_LINKS or _linked(node) < _MOST_LINKED:
        return False
    return sum(_length(link) for link in links) <= 25 * len(links)


def _linked(node: LexborNode) -> float:
    """The share of a node's text that is links."""
    return sum(map(_length, node.css("a"))) / max(1, _length(node))


def _above(node: LexborNode) -> Iterator[LexborNode]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def _length(node: LexborNode) -> int:
    """How many characters a node shows, about."""
    return len("".join((node.text(skip_empty=True) or "").split()))
