"""Exit control: no way out passes that the sources don't have, in any form; ordinary prose passes in all of its forms."""

from __future__ import annotations

import base64
import itertools
import re
import time
import tracemalloc
import urllib.parse
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from rag_bot.marks import joined
from rag_bot.rails.exits import ExitControl, Kind
from rag_bot.types import Sentence

CONTROL = ExitControl()
URL = "https://evil.example/a?q=secret"

# Each by itself, without a source.
BAD: dict[Kind, list[str]] = {
    "link": [
        f"See {URL} for the form.",
        "See http://evil.com.",
        "HTTPS://EVIL.COM",
        "Read evil.com/steal?q=1 first.",
        "Read www.evil.fake first.",
        "Read www.",
        f"[form]({URL})",
        f"[form](<{URL}>)",
        f'[form]({URL} "title")',
        f"[{URL}]({URL})",
        "[form](/logout)",
        "[form](//evil)",
        "[form](evil.html)",
        "[form](/\\evil)",
        "[form](#top)",
        "[form](",
        "[form]()",
        "[form]: /logout",
        f"[form]: {URL}",
        "> [form]: <evil> 'title'",
        "form]: /logout",
        f"<{URL}>",
        f"<{URL}|the form>",
        "<tel:+15550100>",
        "<anything:at-all>",
        "Call tel:+15550100.",
        "ftp://evil/x",
        "file:///etc/passwd",
        "slack://open",
        "ms-word:ofe|u|x",
        "wss://evil/x",
        "foo://bar",
        "mailto:bob@evil.com?subject=secret",
        "Go to //evil.com/x now.",
        "Go to //localhost/x now.",
        "//e\u200bvil.\u200b",
        "Open \\\\evil.com\\share.",
        "https:/evil.com",
        "https:\\\\evil.com",
        "https:evil.com",
        "http:\\/\\/evil.com",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://evil",
        "10.0.0.1/x",
        "10.0.0.1:8080",
        "https://docs.example.org@evil.com/",
        "https://docs.example.org\\@evil.com/",
        "hxxps://evil[.]com/a",
        "https&colon;//evil&period;com",
        "https&#58;&#x2f;&#x0000002F;evil.com",
        "https%3A%2F%2Fevil.com",
        "https%253A%252F%252Fevil.com",
        "https\\://evil.com",
        "<https\\:\\/\\/evil\\.com\\/steal?q=secret>",
        "ｈｔｔｐｓ：／／ｅｖｉｌ．ｃｏｍ",
        "ht\u200btps:\u00ad//ev\u2060il.com",
        "һttps://evil.com",
        "ht\ttps://evil.com",
        "**https://**evil.com",
        "\\u0068ttps\\u003a//evil.com",
        "[https://evil.com text]",
        "=HYPERLINK(http://evil.com)",
        base64.b64encode(b"https://evil.com/steal").decode(),
        b"https://evil.com/steal".hex(),
    ],
    "domain": [
        "Go to evil.com.",
        "Go to EVIL.COM!",
        "Go to evil.com",
        "(evil.com)",
        "evil.co.uk",
        "a-b.evil.museum is open",
        "**evil**.com",
        "evil.<b></b>com",
        "evil`.com`",
        "evil&#46;com",
        "evil&amp;#46;com",
        "evil%2Ecom",
        "evil\\.com",
        "evil。com",
        "ｅｖｉｌ．ｃｏｍ",
        "e\u200bvil.c\u200bom",
        "evil\u2024com",
        "evil[.]com",
        "evil (dot) com",
        "пример.рф",
        "xn--e1afmkfd.xn--p1ai",
        "ex\u0430mple.org",
        "evil.\u0441om",
        "evil.example",
        "evil.onion",
        "10.0.0.1",
        "README.md",
        "main.py",
        "the end.It was",
        "a_b.evil.com,c",
    ],
    "email": [
        "Write to bob@evil.com.",
        "bob+tag@evil.com",
        "q=secret&bob@evil.com",
        "bob@evil.example",
        "<bob@evil.com>",
        "<bob@3405803783>",
        "bob@evil.c",
        "<mailto:bob@evil.com>",
        "mailto:bob@evil.com",
        "bob&#64;evil.com",
        "bob%40evil.com",
        "bob＠evil.com",
        "bob(at)evil(dot)com",
        "bob [at] evil [dot] com",
        "x" * 80 + "@evil.com",
    ],
    "image": [
        f"![x]({URL})",
        "![x](/a.png)",
        "![x][y]",
        "![x] [y](/a.png)",
        "![",
        "![the alt text. And",
        "!\u200b[x](a.png)",
        "&#33;[x](a.png)",
    ],
    "markup": [
        "<img src=/x>",
        "<img",
        "<IMG/SRC=/x>",
        "a <image href=x>",
        "<iframe src=//evil>",
        "<object data=x>",
        "<embed src=x>",
        "<link rel=stylesheet href=x>",
        "<style>",
        "<form action=/x>",
        "<base href=//evil>",
        "<meta http-equiv=refresh content=0>",
        "<audio src=x>",
        "<video poster=x>",
        "<svg>",
        "<math>",
        "<a href=/x>y</a>",
        "<a\nhref = '/x'>y</a>",
        "<td background=/x>",
        "<p style=color:red>",
        "<p title='>' style=x>",
        "</textarea>",
        "<!-- x",
        "<!channel>",
        "<?xml",
        "&lt;img src=x&gt;",
        "&amp;lt;iframe&amp;gt;",
        "%3Ciframe%3E",
        "＜iframe＞",
        "background: url(/x)",
        "@import 'x'",
        "\\75rl(/x)",
        "\\href{/x}{y}",
        "\\includegraphics{x}",
        "`text </x>`_",
        "link:/x[text]",
        "image::x.png[]",
        "[[/x][text]]",
        "[url=/x]y[/url]",
        "[img]x[/img]",
        "&amp;amp;amp;amp;amp;amp;amp;lt;",
    ],
    "script": [
        "<script>alert(1)</script>",
        "<script",
        "</script>",
        "<svg:script>",
        "<scr\u200bipt>",
        "%253Cscript%253E",
        "\\u003cscript\\u003e",
        "\\x3cscript\\x3e",
        "<b onclick=alert(1)>",
        "<b/onclick=alert(1)>",
        '<b title=">" onclick=alert(1)>',
        '`<b title="` <i title=">" onclick=1>',
        "[x](javascript:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](<javascript: alert(1)>)",
        "java\tscript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "vbscript:msgbox(1)",
        "javascript&colon;alert(1)",
        base64.b64encode(b"<script>alert(1)</script>").decode(),
    ],
    "data-uri": [
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:,x",
        "data:;base64,eA==",
        "[x](data:text/html,x)",
        "&#100;ata:image/svg+xml,x",
    ],
}

GOOD = """Employees, e.g. those abroad, get 26 days, i.e. five weeks.
Node.js runs v1.2.3 of report.pdf in the U.S. now.
Use config.yaml, settings.json, index.html, main.cpp and photo.jpeg.
If a<b and x > y, then AT&T or C++ it is; 1 < 2.
Call list[0](1), f[i](x)[1] and handlers[name]().
A List<String>, a Map<String, Object>, a List<Object> and a vector<std::string>.
std::vector<int> values; a->b; x = y == z.
Wait... it opens at 12:30, at a ratio of 3:1, on 10/20/2030.
This is the end.The next day began.
JavaScript: The Good Parts is a book, and onclick is an event.
Note: this is it [1], and so is that [^2].
| a | b |\n| - | - |\n| 1 | 2 |
The metadata: text/plain; the data: we have it.
Look into C:\\Users\\ada\\data.txt or C:\\\\Users.
Dr. Smith, Ph.D., of St. Louis, at 5 p.m. sharp.
Use println!["x"] and vec![1, 2].
and/or 24/7 km/h w.r.t. a.k.a. No.1
1,234.56 EUR, 3.5mm, $5.00, 99.9 %, 50%25
user@host, @ada and react@18.2.0
See section 4.1.2 and figure 10.2.
[Editor] said (so).
The regular expression(s) and the URL(s) stay; url() is a function.
<b>Bold</b>, <br> and <p> are harmless.
He said "no." She did not.
A.B. Smith vs. C.D. Jones et al. agreed…
const address = new URL(request.url)
Straße, naïve, 你好。再见, Привет. Да.
The key is 550e8400-e29b-41d4-a716-446655440000.
""".replace("|\\n|", "|\n|").splitlines()

SOURCE = (
    "The form is at https://docs.example.com/forms/a?b=1 (or www.foo.org/form). Write to Bob@Example.net, "
    "ftp://old.example.com/x, see https://de.wikipedia.org/wiki/Oslo_(Norwegen). Read README.md on 10.1.2.3, or 去 https://cn.example.com/页。"
)


def wrong(sentence: str, before: str = "", sources: Sequence[str] = ()) -> Kind | None:
    found = CONTROL(sentence, before, sources)
    return found.kind if found else None


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in BAD.items() for text in texts])
def test_no_way_out_passes(kind: Kind, text: str) -> None:
    for sentence in (text, f"Staff may ask. {text}", f"{text} Ask at once."):
        if wrong(sentence) is None:
            # A definition or a `(` needs its place; elsewhere it is plain text to every renderer.
            assert sentence != text and links_in(sentence) == set(), sentence
    assert wrong(text) == kind


@pytest.mark.parametrize("text", GOOD)
def test_ordinary_prose_passes(text: str) -> None:
    for before in ("", "It began so.", "The list:", "As he left", "Take a List<String> [1]", "Ends with [1]"):
        assert CONTROL(text, before, []) is None, before


def test_the_reason_does_not_repeat_what_was_found() -> None:
    for texts in BAD.values():
        for text in texts:
            found = CONTROL(text, "", [])
            assert found and "evil" not in found.reason and 5 < len(found.reason) < 80


@pytest.mark.parametrize(
    "text",
    [
        "The form is at https://docs.example.com/forms/a?b=1.",
        "[the form](https://docs.example.com/forms/a?b=1)",
        "**https://docs.example.com/forms/a?b=1**, said she",
        "docs.example.com/forms/a?b=1",
        "http://DOCS.example.com/forms/a?b=1",
        "https://foo.org/form",
        "foo.org",
        "https://foo.org/",
        "docs.example.com",
        "example.com",
        "ftp://old.example.com/x",
        "bob@example.net",
        "[Bob](mailto:bob@example.net)",
        "https://de.wikipedia.org/wiki/Oslo_(Norwegen)",
        "README.md",
        "10.1.2.3",
        "https://cn.example.com/",
    ],
)
def test_what_the_sources_have_passes(text: str) -> None:
    assert wrong(text)
    assert wrong(text, "", ["Nothing.", SOURCE]) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("link", "https://docs.example.com/forms/a?b=2"),
        ("link", "https://docs.example.com/forms/a?b=1&q=secret"),
        ("link", "https://docs.example.com/forms/a?b=1#secret"),
        ("link", "https://docs.example.com/forms/a?b=1(secret)"),
        ("link", "https://docs.example.com/forms/a?b=1|secret"),
        ("link", "https://docs.example.com/forms/a?b=1;secret"),
        ("link", "https://docs.example.com/forms/A?b=1"),
        ("link", "https://docs.example.com/other"),
        ("link", "https://docs.example.com/?q=secret"),
        ("link", "https://docs.example.com:8080"),
        ("link", "https://secret@docs.example.com"),
        ("link", "https://docs.example.com@evil.com"),
        ("link", "https://secret.example.com"),
        ("link", "ftp://docs.example.com/forms/a?b=1"),
        ("link", f"[https://docs.example.com/forms/a?b=1]({URL})"),
        ("link", "[form]: https://docs.example.com/forms/a?b=1"),
        ("domain", "secret.docs.example.com"),
        ("domain", "example.co"),
        ("domain", "READYOU.md"),
        ("domain", "10.1.2.4"),
        ("email", "ann@example.net"),
        ("email", "secret=bob@example.net"),
        ("email", "secret.bob@example.net"),
        ("link", "mailto:bob@example.net?body=secret"),
        ("image", "![x](https://docs.example.com/forms/a?b=1)"),
        ("markup", "<a href=https://docs.example.com/forms/a?b=1>form</a>"),
    ],
)
def test_what_the_sources_have_otherwise_does_not_pass(kind: Kind, text: str) -> None:
    assert wrong(text, "", [SOURCE]) == kind


@pytest.mark.parametrize("kind", ["image", "markup", "script", "data-uri"])
def test_what_runs_or_loads_never_passes_whatever_the_sources_have(kind: Kind) -> None:
    for text in BAD[kind]:
        assert wrong(text, "", [text]) == kind


def test_allowed_domains_pass_with_all_below_them() -> None:
    control = ExitControl(["Example.org", "*.intra.example"])
    for text in (
        "https://example.org/a?b=c",
        "www.example.org",
        "a.b.example.org:8080/x",
        "x@example.org",
        "wiki.intra.example",
    ):
        assert control(text, "", []) is None, text
    for text in (
        "https://notexample.org",
        "https://example.org.evil.com",
        "https://example.org@evil.com",
        "https://evil.com@example.org/",
        "https://example.org\\@evil.com",
        "https://evil.com\\.example.org",
        "https://evil.com#.example.org",
        "https://evil.com%2f.example.org",
        "ftp://example.org/x",
        "javascript://example.org/%0aalert(1)",
        "![x](https://example.org/x)",
    ):
        assert control(text, "", []), text
    assert ExitControl(["", " "])("evil.com", "", [])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("See evil.", "com/steal"),
        ("See evil.", "com now"),
        ("See evil", ".com/x"),
        ("See evil.c", "om"),
        ("Try java", "script:alert(1)"),
        ("Try javascript:", "alert(1)"),
        ("An <im", "g src=x>"),
        ("An <", "iframe src=x>"),
        ('A <b title="', '" onclick=1>'),
        ('A <b title=">', 'and more. And " onclick=1>'),
        ("A <a", "href=x>"),
        ("Use data:te", "xt/html,x"),
        ("Use u", "rl(/x)"),
        ("So &#10", "6;avascript:alert(1)"),
        ("So aHR0cHM6Ly9", "ldmlsLmNvbS94"),
        ("So <scr", "ipt>"),
        ("So \\u00", "3cscript>"),
        ("Write bob@e", "vil.com"),
    ],
)
def test_what_was_begun_before_is_not_completed(first: str, second: str) -> None:
    if wrong(first) is None:
        assert wrong(second, f"{first} [1][2]"), (first, second)
        assert wrong(second, first)


def test_the_end_of_an_image_is_no_link_that_passes() -> None:
    assert wrong("](https://docs.example.com/forms/a?b=1)", "Then ![alt [1] text", [SOURCE]) == "image"


def test_an_answer_that_ends_in_an_address_does_not_taint_the_next_sentence() -> None:
    before = "See https://docs.example.com/forms/a?b=1 [1]"
    for sentence in ("and then ask.", "- next item", "of them", "Ask."):
        assert wrong(sentence, before, [SOURCE]) is None
    assert wrong("in the list", "This is the end.") is None
    assert wrong("ibm/cloud", "These were added:") is None


# --- any split


def links_in(text: str) -> set[str]:
    """What elements of the rendered text lead to, load or run."""
    tree = LexborHTMLParser(MarkdownIt("commonmark").enable(["table"]).render(text))
    found = {f"{name}={value}" for node in tree.css("*") for name, value in node.attributes.items() if value}
    return {one for one in found if re.match(r"(?:href|src|data|action|style|background|on\w+)=", one)} | {
        node.tag or "" for node in tree.css("script, style, iframe, svg, object, embed")
    }


def released(pieces: Sequence[str], sources: Sequence[str] = ()) -> list[Sentence]:
    """The pieces that are let through, each checked as the story checks sentences."""
    out: list[Sentence] = []
    for piece in pieces:
        if piece.strip() and CONTROL(piece.strip(), joined(out), sources) is None:
            out.append(Sentence(piece.strip(), (1,)))
    return out


ALL_BAD = [text for texts in BAD.values() for text in texts]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ALL_BAD), st.lists(st.floats(0, 1), max_size=4), st.sampled_from(["", "Staff may ask. ", "- "]))
@example("[form](/logout)", [0.4], "")
@example(f"![x]({URL})", [0.1, 0.5], "")
def test_however_it_is_split_nothing_leads_away(bad: str, shares: list[float], first: str) -> None:
    text = first + bad
    cuts = [0, *sorted(int(share * len(text)) for share in shares), len(text)]
    sentences = released([text[a:b] for a, b in itertools.pairwise(cuts)])
    answer = joined(sentences)
    assert links_in(answer) == set()
    assert bad not in answer or "]: " in bad  # a definition is one where a line begins


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ALL_BAD), st.floats(0, 1))
def test_in_two_pieces_it_does_not_pass_either_where_a_reader_puts_them_together(bad: str, share: float) -> None:
    at = int(share * len(bad))
    glued = "".join(sentence.text for sentence in released([bad[:at], bad[at:]]))
    assert links_in(glued) == set()


WORDS = (
    "the a staff leave days office may must ask approval of in to is it at no so me my be do as am on manager travel abroad "
    "year Oslo Anna Dr. 26 3.5 12:30 (see above) e.g. “quoted” well-being AT&T 50% she's and/or R&D v2.1 C++ [sic] … – U.S."
).split()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=25), min_size=1, max_size=4), st.sampled_from(".!?…"))
def test_sentences_of_ordinary_words_pass(sentences: list[list[str]], end: str) -> None:
    before = ""
    for words in sentences:
        text = " ".join(words).capitalize() + end
        assert CONTROL(text, before, []) is None
        before = f"{before} {text} [1]".strip()


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_is_judged(text: str, before: str) -> None:
    assert CONTROL(text, before, [text]) == CONTROL(text, before, [text])


@pytest.mark.parametrize("kind", BAD)
def test_encoding_once_more_hides_nothing(kind: Kind) -> None:
    for text in BAD[kind]:
        assert wrong(urllib.parse.quote(text, safe="")), text
        assert wrong("".join(f"&#{ord(letter)};" for letter in text)), text


# --- cost

WORST = """a . a. < <a &  &# &#0 &amp; % %25 %2 \\ \\u \\5 [ ]( ![ [a] [a]: @ a@ a.b@ a@b.co, :// a: http: // /\\ data: data:a
javascript javascript: url( ` `a< `a<b> on onaa= [[ [[a. ][ www. com. \u200b ﷺ é 。 (dot) at {@ 0 1.1.1.1 0a YWFh = - _ * ~ <!
<img ms- a+ \\html link: link:a [url [url= ( { > xn--""".split()


@pytest.mark.parametrize(
    "worst", [*WORST, " ", "\n", "\t", "a ", "javascript: ", "[a]:\n", " onaa=", "<b onx ", " (dot", "link:a "]
)
def test_time_grows_with_length_and_no_faster(worst: str) -> None:
    def seconds(length: int) -> float:
        text = worst * (length // len(worst))
        began = time.process_time()
        for before, sentence, source in (("", f"x.com{text}!", text), (f"<a {text}", f"g/{text}", ""), ("", f"![{text}]:", "")):
            CONTROL(sentence, before, [source])
        return time.process_time() - began

    seconds(1_000)
    # Eight times the length takes eight times as long; what is quadratic takes sixty-four times.
    assert seconds(40_000) < max(0.5, 25 * seconds(5_000))


def test_a_million_characters_take_seconds_and_memory_comes_back() -> None:
    began = time.process_time()
    for text in ("a" * 1_000_000, "a.com/" * 160_000, "&#0" * 330_000):
        CONTROL(text, "", [])
    assert time.process_time() - began < 20
    tracemalloc.start()
    for number in range(300):
        CONTROL(f"Go to evil{number}.com.", "", [f"Source {number}: http://a{number}.com."])
    middle = tracemalloc.get_traced_memory()[0]
    for number in range(300, 1_200):
        CONTROL(f"Go to evil{number}.com.", "", [f"Source {number}: http://a{number}.com."])
    assert tracemalloc.get_traced_memory()[0] < middle + 600_000
    tracemalloc.stop()
