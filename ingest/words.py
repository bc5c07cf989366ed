"""Words that carry little of a question's sense."""

from __future__ import annotations

STOPWORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being between both but by can
    could did do does doing don down during each few for from further get gets give given had has have having he her here
    hers him his how i if in into is it its itself just know let many may me might more most much must my no nor not now
    of off on once only or other our ours out over own please s same say says shall she should so some such t tell than
    that the their theirs them then there these they this those through to too under until up us very was we were what
    when where which while who whom whose why will with would you your yours long often""".split()
)
"""English function words and the words that only make a question; judged by BM25 they would still weigh something."""
