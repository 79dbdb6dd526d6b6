"""Two JSON Schemas -> what of the newer breaks those who rely on the older. Understands what msgspec writes.

Two kinds of people rely on a schema. Who has saved reports wants a newer netdiag to read them: nothing may be required
that was not, no value refused that was allowed. Who has written a program on reports wants to find in newer ones what
there was: no member, type, enumerated value or tagged variant may go, none may become optional, and a member may not
begin to hold another JSON type (null, say). New members, new values and new variants are additions: programs are told
to ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

#: Words of JSON Schema that are for people.
_REMARKS = frozenset({"$schema", "$id", "$defs", "title", "description", "examples", "$comment"})
#: Words that this module compares; another one in a schema is an error, not something to be overlooked.
_KNOWN = _REMARKS | {
    *("$ref", "type", "enum", "const", "anyOf", "discriminator", "properties", "required", "additionalProperties"),
    *("items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern"),
    *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format", "contentEncoding", "contentMediaType", "default"),
}
#: Bounds: a larger lower one refuses more, a smaller upper one too.
_LOWER = ("minItems", "minLength", "minimum", "exclusiveMinimum")
_UPPER = ("maxItems", "maxLength", "maximum", "exclusiveMaximum")
_EXACT = ("pattern", "format", "contentEncoding", "contentMediaType", "multipleOf")
_ABSENT = object()


def breaking(old: Schema, new: Schema) -> list[str]:
    """Each breaking change in a line that begins with its place; none for a schema that only adds."""
    return sorted(set(_Comparison(old, new).compare(old, new, "")))


class _Comparison:
    """``seen`` holds pairs of definitions that were compared: they may refer to themselves."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new
        self._seen: set[tuple[int, int]] = set()

    def compare(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        for schema in (old, new):
            unknown = schema.keys() - _KNOWN
            assert not unknown, f"{place}: {sorted(unknown)} cannot be compared"
        yield from self._defaults(old, new, place)
        before, after = _variants(old, self._old), _variants(new, self._new)
        for key, variant in before.items():
            if key not in after:
                yield f"{place}: {key} is gone"
            else:
                yield from self._same(variant, after[key], place)
        for key in after.keys() - before.keys():
            if not key.startswith("variant "):
                yield f"{place}: may be {key}, which it could not"

    def _same(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        """Two schemas of one JSON type, or of one tag."""
        if (pair := (id(old), id(new))) in self._seen:
            return
        self._seen.add(pair)
        yield from self._values(old, new, place)
        for word in _LOWER:
            if word in new and new[word] > old.get(word, float("-inf")):
                yield f"{place}: {word} is {new[word]}, was {old.get(word, 'none')}"
        for word in _UPPER:
            if word in new and new[word] < old.get(word, float("inf")):
                yield f"{place}: {word} is {new[word]}, was {old.get(word, 'none')}"
        for word in _EXACT:
            if old.get(word) != new.get(word):
                yield f"{place}: {word} is {new.get(word)}, was {old.get(word)}"
        yield from self._members(old, new, place)
        yield from self._items(old, new, place)

    def _defaults(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        """What a member that is missing means."""
        then, now = old.get("default", _ABSENT), new.get("default", _ABSENT)
        if then is not _ABSENT and now is not _ABSENT and then != now:
            yield f"{place}: missing means {now!r}, meant {then!r}"

    def _values(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        then, now = _enumerated(old), _enumerated(new)
        if then is None and now is not None:
            yield f"{place}: only {sorted(map(repr, now))} are allowed, anything was"
        if then is not None and now is None:
            yield f"{place}: any value may come, only {sorted(map(repr, then))} could"
        if then is not None and now is not None:
            yield from (f"{place}: the value {value!r} is gone" for value in then if value not in now)

    def _members(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        then, now = old.get("properties", {}), new.get("properties", {})
        for name in then:
            if name not in now:
                yield f"{place}.{name}: is gone"
            else:
                yield from self.compare(then[name], now[name], f"{place}.{name}")
        must, had_to = set(new.get("required", ())), set(old.get("required", ()))
        yield from (f"{place}.{name}: is required, was not" for name in must - had_to)
        yield from (f"{place}.{name}: is no longer required" for name in had_to - must if name in now)
        if new.get("additionalProperties", True) is False and old.get("additionalProperties", True) is not False:
            yield f"{place}: further members are refused, were not"
        then, now = old.get("additionalProperties"), new.get("additionalProperties")
        if isinstance(then, dict) and isinstance(now, dict):
            yield from self.compare(then, now, f"{place}.*")

    def _items(self, old: Schema, new: Schema, place: str) -> Iterator[str]:
        then, now = old.get("prefixItems", []), new.get("prefixItems", [])
        if len(then) != len(now):
            yield f"{place}: has {len(now)} fixed places, had {len(then)}"
        for n, (one, other) in enumerate(zip(then, now, strict=False)):
            yield from self.compare(one, other, f"{place}[{n}]")
        then, now = old.get("items", True), new.get("items", True)
        if isinstance(then, dict) and isinstance(now, dict):
            yield from self.compare(then, now, f"{place}[]")
        elif then is True and now is not True:
            yield f"{place}: items are restricted, were not"
        elif isinstance(then, dict) and now is True:
            yield f"{place}: items may be anything, could not"
        elif then is not now and False in (then, now):
            yield f"{place}: {'no' if now is False else 'more'} items after the fixed places"


def _variants(schema: Schema, root: Schema) -> dict[str, Schema]:
    """What a value may be: by JSON type, and objects that are told apart by a tag by that.

    Unions are dissolved, references followed; an integer is a number.
    """
    found: dict[str, Schema] = {}
    alternatives = schema.get("anyOf")
    if alternatives is None:
        resolved = _resolved(schema, root)
        if "anyOf" in resolved:
            return _variants(resolved, root)
        for kind in _types(resolved):
            found[kind] = resolved
        return found
    tag = schema.get("discriminator", {}).get("propertyName")
    for alternative in alternatives:
        resolved = _resolved(alternative, root)
        if tag is not None:
            values = _enumerated(resolved["properties"][tag])
            assert values is not None
            found |= {f"variant {tag}={value}": resolved for value in values}
        else:
            found |= _variants(alternative, root)
    return found


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        schema = root["$defs"][name]
    return schema


def _types(schema: Schema) -> list[str]:
    if "type" in schema:
        kinds = schema["type"]
        return [kinds] if isinstance(kinds, str) else list(kinds)
    values = _enumerated(schema)
    if values is None:
        return ["anything"]
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    return sorted({names[type(value)] for value in values})


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values
