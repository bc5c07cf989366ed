"""The frame of a report: one HTML file that loads nothing and runs nothing, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --dim: #667085; --line: #d8dce3; --paper: #fff; --card: #f6f7f9;
  --a: #2f6fde; --b: #d9822b; --c: #b3261e; --good: #1a7f4b; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --dim: #98a1b0; --line: #3a404b; --paper: #16181d;
  --card: #1f2229; --a: #7aa7f7; --b: #f0a860; --c: #f28b82; --good: #6fcf97; --bad: #f28b82; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 64px; max-width: 1100px; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); overflow-wrap: anywhere; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 36px 0 8px; } h3 { font-size: 15px; margin: 0 0 6px; }
p { margin: 6px 0; } .dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 16px 0; }
.tile { background: var(--card); border-radius: 8px; padding: 12px 14px; } .tile b { display: block; font-size: 24px; }
.plots { display: grid; align-items: start; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 20px; }
.plot { background: var(--card); border-radius: 8px; padding: 14px; min-width: 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; white-space: nowrap; } .wide { overflow-wrap: normal; }
td.n, th.n { text-align: right; white-space: nowrap; }
details { background: var(--card); border-radius: 8px; padding: 10px 14px; margin: 8px 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 14px; margin: 10px 0 4px; }
dt { color: var(--dim); } dd { margin: 0; }
blockquote { margin: 0 0 6px; padding-left: 10px; border-left: 3px solid var(--line); white-space: pre-line; }
blockquote.hit { border-color: var(--good); }
svg { display: block; width: 100%; max-width: 640px; height: auto; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); fill: none; } .room { fill: var(--line); opacity: .35; } .bar { fill: var(--a); }
.whisker { stroke: var(--ink); stroke-width: 1.4; fill: none; opacity: .75; } .line { fill: none; stroke-width: 2; }
.line.c0 { stroke: var(--a); } .line.c1 { stroke: var(--b); } .line.c2 { stroke: var(--c); }
.dot.c0 { fill: var(--a); } .dot.c1 { fill: var(--b); } .dot.c2 { fill: var(--c); } .dot.mark { fill: var(--c); }
.dot.c3 { fill: #4f9d69; } .dot.c4 { fill: #8e6bbf; } .dot.c5 { fill: #2a9db0; } .dot.c6 { fill: #b8862b; }
.dot.c7 { fill: #c2569b; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px 20px; margin: 10px 0; } .pair > div { min-width: 0; }
mark { background: #f6d365; color: #1d2129; border-radius: 3px; padding: 0 2px; }
.dot.faint { fill: var(--dim); opacity: .55; } .ring { fill: none; stroke: var(--good); stroke-width: 2.5; }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page around parts that are HTML already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def tile(value: str, name: str, more: str = "") -> str:
    return f'<div class="tile"><b>{escape(value)}</b>{escape(name)}<br><span class="dim">{escape(more)}</span></div>'


def plot(title: str, svg: str, note: str = "") -> str:
    told = f'<p class="dim">{escape(note)}</p>' if note else ""
    return f'<div class="plot"><h3>{escape(title)}</h3>{svg}{told}</div>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of plain text; the columns in `numbers` are set to the right."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{' class=n' if at in numbers else ''}>{escape(cell)}</{tag}>" for at, cell in enumerate(cells))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{line(head, "th")}</tr>{body}</table></div>'
