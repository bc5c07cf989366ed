"""What Slack takes as blocks: known types and fields, required ones, lengths and counts, by the surface that shows them.

The limits are those of Slack's reference, as `slack_sdk.models` and its docstrings have them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

Surface = Literal["message", "modal", "home"]

MARKDOWN_CHARS = 12_000  # of all markdown blocks of one message together
BLOCKS = {"message": 50, "modal": 100, "home": 100}
_ALERTING = ("<!channel", "<!here", "<!everyone")


class BadBlocks(Exception):
    """Why Slack would not take them."""


def need(true: bool, message: str) -> None:
    if not true:
        raise BadBlocks(message)


def fields(data: Any, where: str, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Refuses a field that is missing and one that Slack does not know."""
    need(isinstance(data, Mapping), f"{where}: must be an object")
    need(set(required) <= data.keys(), f"{where}: missing {sorted(set(required) - data.keys())}")
    extra = data.keys() - set(required) - set(optional)
    need(not extra, f"{where}: unknown {sorted(extra)}")


def words(value: Any, where: str, longest: int, shortest: int = 1) -> None:
    need(isinstance(value, str), f"{where}: must be text")
    need(shortest <= len(value) <= longest, f"{where}: {len(value)} characters, {shortest} to {longest} are allowed")


def text(data: Any, where: str, longest: int, *, plain: bool = False) -> None:
    """A text object."""
    fields(data, where, ("type", "text"), ("emoji", "verbatim"))
    need(data["type"] in (("plain_text",) if plain else ("plain_text", "mrkdwn")), f"{where}: type {data['type']}")
    need("emoji" not in data or data["type"] == "plain_text", f"{where}: emoji is for plain_text")
    words(data["text"], where, longest)
    if data["type"] == "mrkdwn":
        mrkdwn(data["text"], where)


def mrkdwn(value: str, where: str) -> None:
    """What no text of the bot's may hold: a mention of everybody, and a `<` that opens nothing Slack knows."""
    need(not any(mark in value for mark in _ALERTING), f"{where}: alerts everybody")
    at = value.find("<")
    while at >= 0:
        need(value[at + 1 : at + 2] in ("@", "#", "!", "h", "m"), f"{where}: a bare < must be sent as &lt;")
        at = value.find("<", at + 1)


def check(blocks: Any, surface: Surface = "message") -> None:
    """Raises BadBlocks."""
    need(isinstance(blocks, list), "blocks: must be an array")
    need(len(blocks) <= BLOCKS[surface], f"blocks: {len(blocks)}, {BLOCKS[surface]} are allowed")
    ids = [block["block_id"] for block in blocks if isinstance(block, Mapping) and "block_id" in block]
    need(len(ids) == len(set(ids)), "blocks: block_id twice")
    for number, block in enumerate(blocks):
        need(isinstance(block, Mapping) and isinstance(block.get("type"), str), f"blocks[{number}]: no type")
        kind = block["type"]
        need(kind in _BLOCKS and (surface == "message" or kind not in _MESSAGES_ONLY), f"blocks[{number}]: no {kind} here")
        need(surface != "message" or kind != "input", "input is not for messages")
        if "block_id" in block:
            words(block["block_id"], f"{kind}.block_id", 255)
        _BLOCKS[kind]({key: value for key, value in block.items() if key != "block_id"})
    markdown = sum(len(block["text"]) for block in blocks if block["type"] == "markdown")
    need(markdown <= MARKDOWN_CHARS, f"blocks: {markdown} characters of markdown, {MARKDOWN_CHARS} are allowed")


def view(data: Any) -> None:
    """A modal or a home tab. Raises BadBlocks."""
    kind: Surface = "home" if isinstance(data, Mapping) and data.get("type") == "home" else "modal"
    need(isinstance(data, Mapping) and data.get("type") == kind, "view: neither modal nor home")
    common = ("private_metadata", "callback_id", "external_id")
    if kind == "home":
        fields(data, "view", ("type", "blocks"), common)
    else:
        fields(data, "view", ("type", "blocks", "title"), ("submit", "close", "clear_on_close", "notify_on_close", *common))
        for name in ("title", "submit", "close"):
            if name in data:
                text(data[name], f"view.{name}", 24, plain=True)
        inputs = any(block.get("type") == "input" for block in data["blocks"])
        need(not inputs or "submit" in data, "view: inputs need submit")
    need(len(data.get("private_metadata", "")) <= 3000, "view.private_metadata: too long")
    need(len(data.get("callback_id", "")) <= 255, "view.callback_id: too long")
    need(bool(data["blocks"]), "view: no blocks")
    check(data["blocks"], kind)


# --- blocks


def _section(block: Mapping[str, Any]) -> None:
    fields(block, "section", ("type",), ("text", "fields", "accessory", "expand"))
    need("text" in block or "fields" in block, "section: text or fields")
    if "text" in block:
        text(block["text"], "section.text", 3000)
    need(len(block.get("fields", [])) <= 10, "section.fields: more than 10")
    for one in block.get("fields", []):
        text(one, "section.fields", 2000)
    if "accessory" in block:
        element(block["accessory"], "section.accessory")


def _context(block: Mapping[str, Any]) -> None:
    fields(block, "context", ("type", "elements"))
    need(1 <= len(block["elements"]) <= 10, "context: 1 to 10 elements")
    for one in block["elements"]:
        if one.get("type") == "image":
            fields(one, "image", ("type", "image_url", "alt_text"))
        else:
            text(one, "context", 3000)


def _actions(block: Mapping[str, Any]) -> None:
    fields(block, "actions", ("type", "elements"))
    need(1 <= len(block["elements"]) <= 25, "actions: 1 to 25 elements")
    _elements(block["elements"], "actions")


def _context_actions(block: Mapping[str, Any]) -> None:
    fields(block, "context_actions", ("type", "elements"))
    need(1 <= len(block["elements"]) <= 5, "context_actions: 1 to 5 elements")
    for one in block["elements"]:
        need(one.get("type") in ("feedback_buttons", "icon_button"), f"context_actions: no {one.get('type')}")
    _elements(block["elements"], "context_actions")


def _input(block: Mapping[str, Any]) -> None:
    fields(block, "input", ("type", "label", "element"), ("hint", "optional", "dispatch_action"))
    text(block["label"], "input.label", 2000, plain=True)
    if "hint" in block:
        text(block["hint"], "input.hint", 2000, plain=True)
    need(block["element"].get("type") != "button", "input: no buttons")
    element(block["element"], "input")


def _header(block: Mapping[str, Any]) -> None:
    fields(block, "header", ("type", "text"))
    text(block["text"], "header", 150, plain=True)


def _markdown(block: Mapping[str, Any]) -> None:
    fields(block, "markdown", ("type", "text"))
    words(block["text"], "markdown", MARKDOWN_CHARS)
    need(not any(mark in block["text"] for mark in _ALERTING), "markdown: alerts everybody")


def _divider(block: Mapping[str, Any]) -> None:
    fields(block, "divider", ("type",))


_MESSAGES_ONLY = {"markdown", "context_actions"}
_BLOCKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "section": _section,
    "context": _context,
    "actions": _actions,
    "context_actions": _context_actions,
    "input": _input,
    "header": _header,
    "markdown": _markdown,
    "divider": _divider,
}


# --- elements


def _elements(elements: Sequence[Any], where: str) -> None:
    ids = [one.get("action_id") for one in elements]
    need(len(ids) == len(set(ids)), f"{where}: action_id twice")
    for one in elements:
        element(one, where)


def element(data: Any, where: str) -> None:
    """An interactive element."""
    kind = data.get("type") if isinstance(data, Mapping) else None
    need(kind in _ELEMENTS, f"{where}: no element {kind}")
    need("action_id" in data, f"{where}: {kind} needs an action_id")
    words(data["action_id"], f"{kind}.action_id", 255)
    _ELEMENTS[str(kind)]({key: value for key, value in data.items() if key != "action_id"})


def _button(data: Mapping[str, Any]) -> None:
    fields(data, "button", ("type", "text"), ("value", "url", "style", "confirm", "accessibility_label"))
    text(data["text"], "button.text", 75, plain=True)
    need(data.get("style", "primary") in ("primary", "danger"), "button.style")
    need(len(data.get("value", "")) <= 2000, "button.value: too long")
    need(len(data.get("url", "")) <= 3000, "button.url: too long")
    if "confirm" in data:
        fields(data["confirm"], "confirm", ("title", "text", "confirm", "deny"), ("style",))
        for name, longest in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
            text(data["confirm"][name], f"confirm.{name}", longest, plain=name != "text")


def _feedback(data: Mapping[str, Any]) -> None:
    fields(data, "feedback_buttons", ("type", "positive_button", "negative_button"))
    for name in ("positive_button", "negative_button"):
        fields(data[name], name, ("text", "value"), ("accessibility_label",))
        text(data[name]["text"], name, 75, plain=True)
        words(data[name]["value"], f"{name}.value", 2000)


def _option(data: Any) -> None:
    fields(data, "option", ("text", "value"), ("description",))
    text(data["text"], "option.text", 75)
    words(data["value"], "option.value", 150)


def _select(data: Mapping[str, Any]) -> None:
    fields(data, str(data["type"]), ("type", "options"), ("initial_option", "initial_options", "placeholder"))
    need(1 <= len(data["options"]) <= (10 if data["type"] == "checkboxes" else 100), "options: too many or none")
    for one in data["options"]:
        _option(one)
    chosen = [*data.get("initial_options", []), *([data["initial_option"]] if "initial_option" in data else [])]
    need("initial_options" not in data or bool(chosen), "initial_options: empty")
    need(all(one in data["options"] for one in chosen), "initial_option: none of the options")
    if "placeholder" in data:
        text(data["placeholder"], "placeholder", 150, plain=True)


def _input_text(data: Mapping[str, Any]) -> None:
    fields(data, "plain_text_input", ("type",), ("multiline", "initial_value", "placeholder", "min_length", "max_length"))
    need(len(data.get("initial_value", "")) <= data.get("max_length", 3000), "initial_value: too long")
    need(data.get("max_length", 3000) <= 3000, "max_length: more than 3000")


def _time(data: Mapping[str, Any]) -> None:
    fields(data, "timepicker", ("type",), ("initial_time", "placeholder", "timezone"))


def _conversations(data: Mapping[str, Any]) -> None:
    fields(data, str(data["type"]), ("type",), ("initial_conversation", "filter", "placeholder"))


_ELEMENTS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "button": _button,
    "feedback_buttons": _feedback,
    "static_select": _select,
    "checkboxes": _select,
    "radio_buttons": _select,
    "plain_text_input": _input_text,
    "timepicker": _time,
    "conversations_select": _conversations,
}
