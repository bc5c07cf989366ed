"""The page at /docs: the API's reference as plain HTML, made from the OpenAPI description, with no script and no CDN."""

from __future__ import annotations

import json
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #8888; }
h3 { margin-top: 2rem; font-size: 1.05rem; }
h3 b { display: inline-block; min-width: 4.5rem; }
code, h3 { font-family: ui-monospace, monospace; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
p { white-space: pre-line; }
"""

METHODS = ("get", "post", "put", "patch", "delete")


def page(description: dict[str, Any]) -> str:
    """The reference of an OpenAPI description."""
    info = description["info"]
    groups: dict[str, list[str]] = {}
    for path, methods in description["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                tag = (operation.get("tags") or ["Other"])[0]
                groups.setdefault(tag, []).append(_operation(description, method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}: API</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="docs/style.css"></head><body>'
        f"<h1>{escape(info['title'])}: API</h1><p>{escape(info.get('description', ''))}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a>.</p>{sections}</body></html>'
    )


def _operation(whole: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<h3><b>{method.upper()}</b> {escape(path)}</h3>", f"<p>{escape(operation.get('description', ''))}</p>"]
    rows = [
        (p["name"], p["in"] + _needed(p.get("required")), _type(p["schema"]), p.get("description", ""))
        for p in operation.get("parameters", ())
    ]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        rows += [(name, media + needed, kind, words) for name, needed, kind, words in _fields(whole, content["schema"])]
    parts.append(_table(("Takes", "in", "type", ""), rows))
    parts.append(_table(("Gives", "as", "what", ""), _answers(whole, operation)))
    return "".join(parts)


def _answers(whole: dict[str, Any], operation: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for status, response in operation["responses"].items():
        shown = "errors" if status == "default" else status
        for media, content in response.get("content", {"": {}}).items():
            fields = ", ".join(
                name + (f": {kind}" if kind else "") for name, _, kind, _ in _fields(whole, content.get("schema", {}))
            )
            rows.append((shown, media, fields, response.get("description", "")))
    return rows


def _fields(whole: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name, whether it is needed, type and meaning of each member of an object."""
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    known = whole.get("components", {}).get("schemas", {}).get(name, schema)
    required = known.get("required", ())
    return [
        (key, _needed(key in required), _type(value), value.get("description", ""))
        for key, value in known.get("properties", {}).items()
    ]


def _needed(required: object) -> str:
    return ", required" if required else ""


def _type(schema: dict[str, Any]) -> str:
    """A type in a few words, like `integer or null`."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return str(schema.get("type", ""))


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str, str]]) -> str:
    if not rows:
        return ""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join(
        f"<tr><td><code>{escape(a)}</code></td><td>{escape(b)}</td><td>{escape(c)}</td><td>{escape(d)}</td></tr>"
        for a, b, c, d in rows
    )
    return f"<table><tr>{titles}</tr>{lines}</table>"
