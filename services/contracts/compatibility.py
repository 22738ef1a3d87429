"""Detect changes of the contracts that break a reader of events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from services.contracts.event_schemas import EVENTS_FOLDER

Json = dict[str, Any]

ASYNCAPI = "asyncapi.json"

_SHAPE = ("type", "format", "pattern", "const")


def breaking_changes(before: Json, after: Json) -> list[str]:
    """Return changes breaking a consumer of `before` on new records, or of `after` on old records.

    Optional fields may be added; nothing else may change. A value removed from an enumeration is still in old records.
    """
    return list(_compare(before, after, before, after, "record"))


def breaking_documents(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    """Return changes of documents, by path, that break a reader: of events, their topics and their headers."""
    found = []
    for name in sorted(each for each in before if each.startswith(f"{EVENTS_FOLDER}/")):
        changes = breaking_changes(before[name], after[name]) if name in after else ["removed"]
        found += [f"{name}: {change}" for change in changes]
    if ASYNCAPI in before:
        found += [f"{ASYNCAPI}: {change}" for change in _compare_topics(before[ASYNCAPI], after[ASYNCAPI])]
    return found


def _compare_topics(before: Json, after: Json) -> Iterator[str]:
    topics, topics_now = _types_by_topic(before), _types_by_topic(after)
    for topic, types in topics.items():
        for gone in sorted(types - topics_now.get(topic, set())):
            yield f"topic {topic}: no {gone} any more"
    headers, headers_now = _headers_by_type(before), _headers_by_type(after)
    for kind in sorted(headers.keys() & headers_now.keys()):
        yield from _compare(headers[kind], headers_now[kind], headers[kind], headers_now[kind], f"headers of {kind}")


def _types_by_topic(asyncapi: Json) -> dict[str, set[str]]:
    named = {name: message["name"] for name, message in asyncapi["components"]["messages"].items()}
    return {topic: {named[each] for each in channel["messages"]} for topic, channel in asyncapi["channels"].items()}


def _headers_by_type(asyncapi: Json) -> dict[str, Json]:
    return {message["name"]: message.get("headers", {}) for message in asyncapi["components"]["messages"].values()}


def _compare(old: Json, new: Json, old_root: Json, new_root: Json, path: str) -> Iterator[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    for keyword in _SHAPE:
        if old.get(keyword) != new.get(keyword):
            yield f"{path}: {keyword} was {old.get(keyword)}, is {new.get(keyword)}"
    yield from _compare_enums(old, new, path)
    yield from _compare_fields(old, new, old_root, new_root, path)
    if "items" in old and "items" in new:
        yield from _compare(old["items"], new["items"], old_root, new_root, f"{path}[]")
    yield from _compare_choices(old, new, old_root, new_root, path)


def _compare_enums(old: Json, new: Json, path: str) -> Iterator[str]:
    if "enum" in old and "enum" not in new:
        yield f"{path}: may now be anything"
        return
    added = [word for word in new.get("enum", []) if word not in old.get("enum", [])]
    removed = [word for word in old.get("enum", []) if word not in new.get("enum", [])]
    if added:
        yield f"{path}: may now be {', '.join(map(str, added))}"
    if removed:
        yield f"{path}: may no longer be {', '.join(map(str, removed))}, as old records are"


def _compare_fields(old: Json, new: Json, old_root: Json, new_root: Json, path: str) -> Iterator[str]:
    fields, now = old.get("properties", {}), new.get("properties", {})
    needed, needed_now = set(old.get("required", ())), set(new.get("required", ()))
    for name, schema in fields.items():
        where = f"{path}.{name}"
        if name not in now:
            yield f"{where}: removed"
            continue
        if (name in needed) != (name in needed_now):
            yield f"{where}: was {'required' if name in needed else 'optional'}"
        yield from _compare(schema, now[name], old_root, new_root, where)
    for name in sorted(needed_now - set(fields)):
        yield f"{path}.{name}: added as required"


def _compare_choices(old: Json, new: Json, old_root: Json, new_root: Json, path: str) -> Iterator[str]:
    choices, now = old.get("anyOf", []), new.get("anyOf", [])
    if len(choices) != len(now):
        yield f"{path}: has {len(now)} alternatives, had {len(choices)}"
        return
    for number, (choice, choice_now) in enumerate(zip(choices, now, strict=True)):
        yield from _compare(choice, choice_now, old_root, new_root, f"{path}|{number}")


def _resolved(schema: Json, root: Json) -> Json:
    while "$ref" in schema:
        definition: Json = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = definition
    return schema
