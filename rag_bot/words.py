"""Words that carry little of a question's sense, and those that point back to what was said before."""

from __future__ import annotations

import re

from ingest.words import STOPWORDS as STOPWORDS

POINTING = frozenset(
    "it its they them their theirs that those this these he him his she her hers there such one ones same".split()
)
"""Words that stand for something said before."""

POSSESSIVE = frozenset("its their his her".split())
"""Those of them that may as well stand for something in the same sentence."""

CONNECTING = frozenset(
    "however therefore thus hence otherwise instead moreover furthermore besides nevertheless nonetheless consequently "
    "accordingly likewise similarly conversely additionally also then but and or so".split()
)
"""Words that tie a sentence to the one before it."""

CONTINUING = ("and ", "but ", "or ", "also ", "what about", "how about", "what if", "same for", "why not", "for ", "in ")
"""Beginnings of a question that goes on from the one before."""

FILLER = re.compile(r"^(?:so|then|ok|okay|well|even)\b[,:]?\s+")
"""Beginnings that say nothing about what follows."""

EXPLETIVE = re.compile(
    r"""\b(?:(?:is|was)\ it\ (?:true|possible|allowed|ok|okay|necessary|forbidden)
      | there\ (?:is|are|was|were|be) | (?:is|are|was|were)\ there
      | those\ (?:who|that|with|in|of|whose) | such\ (?:as|a|an|\w+\ as)
      | (?<!\bis\ )(?<!does\ )(?<!are\ )(?<!was\ )(?<!do\ )(?<!about\ )(?<!for\ )(?<!of\ )(?<!to\ )(?<!with\ )(?<!after\ )
        (?<!before\ )that\ (?!one\b)\w+
    )\b""",
    re.VERBOSE,
)
"""Pointing words that point at nothing: "is it true", "there is", "those who", "the rule that says"."""

NAMED = re.compile(r"^(?:who|what|when|where|which)(?:'s| is| are| was| were) (?:the |a |an |our |your )?\w+[?.! ]*$")
"""A question of one content word that stands alone all the same: "Who is the CEO?"."""
