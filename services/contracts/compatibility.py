"""Detect breaking changes of an event's schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_SHAPE = ("type", "format", "pattern", "const")


def breaking_changes(before: Json, after: Json) -> list[str]:
    """Return changes breaking a consumer of `before` on new records, or of `after` on old records.

    Optional fields may be added and enumeration values removed; nothing else may change.
    """
    return list(_compare(before, after, before, after, "record"))


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
    added = [word for word in new.get("enum", []) if word not in old.get("enum", [])]
    if added:
        yield f"{path}: may now be {', '.join(map(str, added))}"
    if "enum" in old and "enum" not in new:
        yield f"{path}: may now be anything"


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
