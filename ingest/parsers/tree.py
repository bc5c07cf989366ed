"""XML read without trust: no entities, nothing from elsewhere, no trees deeper or larger than libxml2's own limits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from posixpath import dirname, normpath
from typing import Any
from urllib.parse import unquote

_SAFE = {"resolve_entities": False, "no_network": True, "huge_tree": False, "load_dtd": False, "dtd_validation": False}


def read_xml(data: bytes, *, mend: bool = False) -> Any:
    """The root element; `mend` reads what is not well-formed as far as that goes. XMLSyntaxError where it can't be read."""
    from lxml import etree

    parser = etree.XMLParser(**_SAFE, recover=mend)
    root = etree.fromstring(data, parser)
    if root is None:
        raise ValueError("holds no XML")
    return root


def stream_xml(data: bytes, *tags: str) -> Iterator[Any]:
    """The elements with one of the local names `tags`, each when it ends; the caller may clear it."""
    from lxml import etree

    for _, element in etree.iterparse(io.BytesIO(data), events=("end",), tag=[f"{{*}}{tag}" for tag in tags], **_SAFE):
        yield element


def local(element: Any) -> str:
    """An element's name without its namespace; '' for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str | None:
    """An attribute by its local name, whatever its namespace."""
    value = element.get(name)
    if value is not None:
        return str(value)
    return next((str(held) for key, held in element.attrib.items() if key.rpartition("}")[2] == name), None)


def relations(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Id -> (kind, name of the part) for what a part of an Office file refers to inside the file."""
    folder, name = dirname(part), part.rpartition("/")[2]
    path = f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels"
    if path not in archive.NameToInfo:
        return {}
    found = {}
    for relation in read_xml(archive.read(path)):
        if local(relation) == "Relationship" and relation.get("TargetMode") != "External":
            target = unquote(relation.get("Target") or "")
            whole = target.lstrip("/") if target.startswith("/") else normpath(f"{folder}/{target}" if folder else target)
            if whole in archive.NameToInfo:
                found[relation.get("Id") or ""] = (relation.get("Type", "").rpartition("/")[2], whole)
    return found


def title_in(archive: zipfile.ZipFile) -> str:
    """The title in an Office file's properties; '' where there is none or they can't be read."""
    from lxml import etree

    if "docProps/core.xml" not in archive.NameToInfo:
        return ""
    try:
        root = read_xml(archive.read("docProps/core.xml"))
    except etree.XMLSyntaxError:
        return ""
    return "".join(root.xpath("string(//*[local-name()='title'])"))


def words_in(element: Any) -> str:
    """The paragraphs of a shape or a title, a line each."""
    paragraphs = ("".join(t.text or "" for t in p.iter("{*}t")) for p in element.iter("{*}p"))
    return "\n".join(text for text in paragraphs if text.strip())
