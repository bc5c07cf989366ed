"""What stands under and around an answer as Slack's blocks: sources, notes, buttons, forms, the home tab."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bot.chat_platform.channel import DAYS, ChannelSettings
from rag_bot.chat_platform.types import Shown
from rag_bot.chat_state import Kept
from rag_bot.slack.markdown import cut, escape, link, to_mrkdwn
from rag_bot.types import Citation

Block = dict[str, Any]

MESSAGE_CHARS = 10_000  # of an answer in one message; Slack takes 12,000 of Markdown in one
SOURCES = 10  # shown under one answer
QUOTE = 300  # characters of a quote
TITLE = 150
REASONS = {
    "wrong": "What it says is wrong",
    "source": "It quotes the wrong source",
    "missing": "Something is missing",
    "other": "Something else",
}


@dataclass(frozen=True, slots=True)
class HomeTab:
    """What somebody's home tab shows. `collections` are names with how many documents there are for that person; `channels`
    the settings of channels, for those who may change them."""

    collections: Sequence[tuple[str, int]]
    recent: Sequence[Kept]
    files: Sequence[tuple[str, str]]
    admin: bool
    channels: Mapping[str, ChannelSettings]


def tail(shown: Shown, public_url: str = "") -> list[Block]:
    """What comes under the text of an answer."""
    blocks = sources(shown, public_url)
    if shown.notes:
        blocks.append(small("\n".join(f"_{escape(note)}_" for note in shown.notes)))
    if shown.offer_person and shown.answer_id:
        blocks.append({"type": "actions", "elements": [button("ask_person", "Ask a person", shown.answer_id)]})
    if shown.feedback and shown.answer_id:
        blocks.append(_feedback(shown.answer_id))
    return blocks


def sources(shown: Shown, public_url: str = "") -> list[Block]:
    """One line of small print for each source: number, title and section with a link to the place, and its words."""
    blocks = [small(_source(one, shown, public_url)) for one in shown.sources[:SOURCES]]
    left = len(shown.sources) - SOURCES
    return [*blocks, small(f"and {left} more")] if left > 0 else blocks


def _source(source: Citation, shown: Shown, public_url: str) -> str:
    place = cut(" › ".join(dict.fromkeys([source.title or source.source, *source.heading])), TITLE)
    if public_url and source.document_id in shown.linked:
        where = f"{public_url.rstrip('/')}/#d={source.document_id}&start={source.start}&end={source.end}"
        name = link(where, place)
    else:
        name = escape(place)
    page = f", {escape(source.place)}" if source.place else f", page {source.page}" if source.page is not None else ""
    line = f"*[{source.n}]* {name}{page}"
    return line if shown.short else f"{line}: “{escape(cut(source.quote, QUOTE))}”"


def body(text: str) -> Block:
    """Markdown as a block of its own."""
    return {"type": "markdown", "text": text}


def notice(text: str) -> str:
    """What a notification shows of a text, in Slack's form."""
    return to_mrkdwn(cut(text, 280)) or "…"


def button(action: str, label: str, value: str, style: str = "") -> Block:
    plain = {"type": "plain_text", "text": label}
    made: Block = {"type": "button", "action_id": action, "text": plain, "value": value}
    return {**made, "style": style} if style else made


def private_actions(answer_id: str, *, share: bool) -> list[Block]:
    """Under an answer that only the asker sees."""
    elements = [button("share", "Share in channel", answer_id)] if share else []
    return [{"type": "actions", "elements": elements}] if elements else []


def small(text: str) -> Block:
    """Small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def section(text: str, accessory: Block | None = None) -> Block:
    block: Block = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return {**block, "accessory": accessory} if accessory else block


def _header(text: str) -> Block:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def _feedback(answer_id: str) -> Block:
    def thumb(label: str, value: str) -> Block:
        return {"text": {"type": "plain_text", "text": label}, "accessibility_label": label, "value": f"{value}:{answer_id}"}

    element: Block = {"type": "feedback_buttons", "action_id": "feedback"}
    element |= {"positive_button": thumb("Good answer", "1"), "negative_button": thumb("Bad answer", "-1")}
    return {"type": "context_actions", "elements": [element]}


# --- forms


def _modal(callback: str, title: str, submit: str, blocks: list[Block], keep: Mapping[str, Any]) -> dict[str, Any]:
    def plain(text: str) -> Block:
        return {"type": "plain_text", "text": text}

    view = {"type": "modal", "callback_id": callback, "title": plain(title), "submit": plain(submit), "blocks": blocks}
    return {**view, "close": plain("Cancel"), "private_metadata": json.dumps(dict(keep))}


def _input(name: str, label: str, element: Block, *, optional: bool = False, hint: str = "") -> Block:
    block: Block = {"type": "input", "block_id": name, "label": {"type": "plain_text", "text": label}, "optional": optional}
    block["element"] = {**element, "action_id": name}
    return {**block, "hint": {"type": "plain_text", "text": hint}} if hint else block


def _option(value: str, label: str) -> Block:
    return {"value": value, "text": {"type": "plain_text", "text": label}}


def _choice(name: str, label: str, options: Mapping[str, str], chosen: str, hint: str = "") -> Block:
    all_of = [_option(value, text) for value, text in options.items()]
    first = next((one for one in all_of if one["value"] == chosen), all_of[0])
    return _input(name, label, {"type": "static_select", "options": all_of, "initial_option": first}, hint=hint)


def _checks(name: str, label: str, options: Mapping[str, str], chosen: Sequence[str]) -> Block:
    all_of = [_option(value, text) for value, text in options.items()]
    element: Block = {"type": "checkboxes", "options": all_of}
    if marked := [one for one in all_of if one["value"] in chosen]:
        element["initial_options"] = marked
    return _input(name, label, element, optional=True)


def _words(name: str, label: str, *, initial: str = "", lines: bool = False, optional: bool = True) -> Block:
    element: Block = {"type": "plain_text_input", "multiline": lines, "max_length": 3000}
    if initial:
        element["initial_value"] = initial[:3000]
    return _input(name, label, element, optional=optional)


def feedback_form(answer_id: str) -> dict[str, Any]:
    """Asks what was wrong with an answer."""
    blocks = [
        _choice("reason", "What was wrong?", REASONS, "wrong"),
        _words("words", "In your words", lines=True),
        _words("right_source", "Where is the right answer?"),
    ]
    return _modal("feedback", "What was wrong?", "Send", blocks, {"answer_id": answer_id})


def save_form(question: str, answer: str, keep: Mapping[str, Any], *, closed: bool) -> dict[str, Any]:
    """Asks what of a thread is to be saved as a document, and says who will read it."""
    readers = "It is answered in this channel alone." if closed else "Everybody can ask about it."
    blocks = [
        section(readers),
        _words("title", "Title", initial=cut(question, 200), optional=False),
        _words("text", "Answer", initial=answer, lines=True, optional=False),
    ]
    return _modal("save", "Save as a document", "Save", blocks, keep)


def channel_form(channel: str, settings: ChannelSettings, collections: Sequence[str], zone: str) -> dict[str, Any]:
    """Asks for a channel's settings."""
    hours = settings.hours
    tones = {"plain": "Plain", "friendly": "Friendly", "brief": "Brief: sources without their words"}
    switches = {
        "follow": "Follow threads without being named",
        "sure": "Answer only when sure, and say nothing otherwise",
        "private": "Answer so that only the asker sees it",
    }
    known = {"": "All documents", **{name: cut(name, 75) for name in list(collections)[:99] if len(name) <= 140}}
    blocks = [
        section(f"Settings for <#{channel}>"),
        _choice("collection", "Documents", {f"c:{name}": label for name, label in known.items()}, f"c:{settings.collection}"),
        _choice("tone", "Tone", tones, settings.tone),
        _checks("switches", "Behaviour", switches, [name for name in switches if getattr(settings, name)]),
        _checks(
            "days",
            "Opening days (none: always open)",
            {str(number): day for number, day in enumerate(DAYS)},
            [str(day) for day in hours.days] if hours else [],
        ),
        _input("start", "Opens at", {"type": "timepicker", "initial_time": hours.start if hours else "09:00"}),
        _input("end", "Closes at", {"type": "timepicker", "initial_time": hours.end if hours else "17:00"}),
        _words("zone", "Time zone", initial=hours.zone if hours else zone, optional=False),
    ]
    return _modal("config", "Channel settings", "Save", blocks, {"channel": channel})


# --- the home tab


def home(tab: HomeTab) -> dict[str, Any]:
    """The home tab."""
    blocks = [_header("Ask your documents")]
    blocks.append(section("Mention me in a channel, write to me under *Messages*, or type `/ask` and a question."))
    if tab.collections:
        names = "\n".join(f"• {escape(cut(name, 80))} ({count:,})" for name, count in tab.collections[:20])
        blocks += [_header("What you may ask about"), section(names)]
    if tab.recent:
        blocks.append(_header("Your recent questions"))
        blocks += [small(f"{escape(cut(one.asked, 200))}  _{one.at[:10]}_") for one in tab.recent[:5]]
    if tab.files:
        blocks.append(_header("Your own files"))
        for document_id, title in tab.files[:20]:
            blocks.append(section(escape(cut(title, 200)), button("remove_file", "Remove", document_id, "danger")))
    if tab.admin:
        blocks += [_header("Settings of channels"), section("Type `/ask config` in a channel to change its settings.")]
        for channel, settings in list(tab.channels.items())[:20]:
            blocks.append(section(f"<#{channel}>: {escape(summary(settings))}", button("config", "Change", channel)))
    return {"type": "home", "blocks": blocks}


def summary(settings: ChannelSettings) -> str:
    """Settings in a line."""
    parts = [settings.collection or "all documents", f"{settings.tone} tone"]
    parts += ["follows threads"] if settings.follow else ["answers only when named"]
    parts += ["only when sure"] if settings.sure else []
    parts += ["privately"] if settings.private else []
    parts += [str(settings.hours)] if settings.hours else []
    return ", ".join(parts)
