"""The text of one entry -> exceptions, outermost first, without escapes and frames of stacks.

Nested exceptions are written in four ways, which may stand inside each other: ``Type: message ---> Type: message``
of .NET, ``'Type=...,Message=...,Source=...,''Type=...`` of a data factory, ``InnerEventInfos`` in the JSON of
LogProperties, and the error of an activity run in JSON. Each may be escaped for JSON or HTML once more.

Contract: pure, bounded, and never fails: what is not understood stays text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from netdiag.irlog.entry import MAX_ENTRY
from netdiag.model import LogException

#: Exceptions of one entry, and how deep text may be packed into text. Real ones have five, packed twice.
MAX_EXCEPTIONS = 24
_MAX_DEPTH = 6
_MAX_UNPACKED = 3
#: Characters of one message; and those that are searched for patterns, beyond which only JSON is parsed.
MAX_MESSAGE = 1_000
_SEARCHED = 40_000

_ENTITY = re.compile(r"&(?:#\d{1,6}|#x[0-9a-f]{1,5}|quot|amp|lt|gt|apos);", re.IGNORECASE)
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["/\\nrt]))')
_PLAIN = {"n": "\n", "r": "\n", "t": "\t", '"': '"', "/": "/", "\\": "\\"}

#: "at Namespace.Type.Method(...)", whatever the word for "at"; and what stands between stacks.
_FRAME = re.compile(
    r"^[ \t]*(?:at|bei|à|en|in|w|em|v|в|i|a|vid|ved|場所|於|在|위치:)[ \t]+"
    r"[\w.<>`\[\],$+&|]{1,300}[.:][\w.<>`\[\],|$+]{0,200}[ \t]?\(.*$"
    r"|^[ \t]*-{2,3} ?(?:End of|Ende der|Fin de|Fine|Server stack trace|Exception rethrown)[^\n]*$",
    re.MULTILINE,
)
_INLINE_FRAME = re.compile(
    r"\s(?:at|bei|à|en)\s{1,10}[A-Z][\w<>`.+]{2,300}\([^()\n]{0,400}\)(?:\s+in\s+\S{1,300}:line \d+)?"
)

#: The head of an exception as ToString writes it.
_TYPE = re.compile(
    r"(?:^|(?<=[\s'\"(>:]))((?:[A-Z_a-z]\w{0,60}\.){1,12}[A-Z]\w{0,80}(?:Exception|Error|Fault)(?:`1)?)(?:\s*\(0x[0-9A-Fa-f]{8}\))?\s*:\s*"
)
_ARROW = re.compile(r"\s*-{2,3}&?(?:>|gt;)\s*")
_FACTORY = re.compile(
    r"'{1,4}Type=(?P<type>[\w.`+]+),\s*Message=(?P<message>.*?),\s*Source=(?P<source>[^,'\n]*),?"
    r"(?=\s*'|\s*$|\s*\"|\s*\}|,)|'{1,4}Type=(?P<type2>[\w.`+]+),\s*Message=(?P<message2>[^\n]*)",
    re.DOTALL,
)
_JSON_BEGIN = re.compile(r'[\[{]\s*(?:\{\s*)?"(?:\w+)"\s*:')
_LOOSE_MESSAGE = re.compile(r'"(?:Message|message|errorMessage)"\s*:\s*"((?:[^"\\]|\\.){1,4000})"')


def unpacked(text: str) -> str:
    """Without the escapes of HTML and JSON, as often as they were put on. Backslashes of paths stay."""
    for _ in range(_MAX_UNPACKED):
        before = text
        if _ENTITY.search(text):
            text = html.unescape(text)
        if '\\"' in text or "\\u0027" in text or "\\u0022" in text:
            text = _JSON_ESCAPE.sub(_unescaped, text)
        text = text.replace("\\<", "<").replace("\\>", ">")
        if text == before:
            break
    return text[:MAX_ENTRY]


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        point = int(match[1], 16)
        return "\ufffd" if 0xD800 <= point < 0xE000 else chr(point)
    return _PLAIN[match[2]]


#: What must not go into a report: passwords of connection strings, keys, signatures of shared access, an integration
#: runtime's own authentication key, users in URLs.
_SECRET = re.compile(
    r"\b(password|passwd|pwd|accountkey|sharedaccesskey|sharedaccesssignature|client_?secret|sig|api[_-]?key|access_?token"
    r"|gatewaykey|authenticationkey)(\\?[\"']?\s?[=:]\s?\\?[\"']?)(?![\s;,])[^\s;,\"'&\\]{1,800}",
    re.IGNORECASE,
)
_AUTHENTICATION_KEY = re.compile(r"\bIR@[0-9a-fA-F-]{30,40}@[^\s\"']{4,800}")
_USER_IN_URL = re.compile(r"://[^\s/@:\"']{1,200}:[^\s/@\"']{1,200}@")


def without_secrets(text: str) -> str:
    """With asterisks in place of passwords and keys."""
    text = _SECRET.sub(r"\1\2***", text)
    text = _AUTHENTICATION_KEY.sub("IR@***", text)
    return _USER_IN_URL.sub("://***@", text)


def without_frames(text: str) -> str:
    """Without the lines, and parts of lines, that stacks consist of."""
    return _INLINE_FRAME.sub(" ", _FRAME.sub("", text[:MAX_ENTRY])).strip()


def exceptions(text: str) -> tuple[LogException, ...]:
    """The exceptions in an entry's text, outermost first; empty for mere text."""
    found: list[LogException] = []
    for layer in _layers(text, 0):
        if layer not in found and (layer.type or layer.message):
            found.append(layer)
        if len(found) >= MAX_EXCEPTIONS:
            break
    return tuple(found)


def _layers(text: str, depth: int) -> Iterator[LogException]:
    if depth > _MAX_DEPTH:
        return
    parsed = _json(text)
    if parsed is None and (clean := unpacked(text)) != text:
        text = clean
        parsed = _json(text)
    if parsed is not None:
        yield from _of_json(parsed, depth)
        return
    text = text[:_SEARCHED]
    factory = list(_FACTORY.finditer(text))
    if factory:
        for match in factory:
            yield _layer(
                match["type"] or match["type2"], match["message"] or match["message2"] or "", match["source"] or ""
            )
        return
    loose = [match[1] for match in _LOOSE_MESSAGE.finditer(text)]  # JSON that is cut off, or wrapped inside a word
    if loose:
        for message in loose:
            clean = unpacked(message)
            yield from list(_layers(clean, depth + 1)) or [_layer("", clean)]
        return
    yield from _dotnet(text)


def _json(text: str) -> Any:
    """The first JSON value with a name in it; None where there is none."""
    begin = _JSON_BEGIN.search(text)
    if begin is None:
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, begin.start())
    except (ValueError, RecursionError):
        return None
    return value


def _of_json(value: Any, depth: int) -> Iterator[LogException]:
    """Objects with a message or a type of exception, and what is nested in them."""
    if depth > _MAX_DEPTH * 4:
        return
    if isinstance(value, list):
        for item in value[:MAX_EXCEPTIONS]:
            yield from _of_json(item, depth + 1)
        return
    if not isinstance(value, dict):
        return
    named = {re.sub(r"\s", "", str(key)).casefold(): item for key, item in value.items()}
    message = next((m for key in ("message", "errormessage") if isinstance(m := named.get(key), str) and m), "")
    type_ = next((t for key in ("exceptiontype", "type") if isinstance(t := named.get(key), str)), "")
    source = named["source"] if isinstance(named.get("source"), str) else ""
    nested = list(_layers(message, depth // 4 + 1)) if message else []
    if len(nested) > 1 or (nested and nested[0].type):
        yield from nested
    elif type_ or message:
        yield _layer(re.sub(r"\s", "", type_), message, source)
    for key, item in named.items():
        if isinstance(item, dict | list) and key != "data":
            yield from _of_json(item, depth + 1)


def _dotnet(text: str) -> Iterator[LogException]:
    for part in _ARROW.split(without_frames(text)):
        heads = list(_TYPE.finditer(part))
        for n, head in enumerate(heads):
            end = heads[n + 1].start() if n + 1 < len(heads) else len(part)
            yield _layer(head[1], part[head.end() : end])


def _layer(type_: str, message: str, source: str = "") -> LogException:
    words = " ".join(without_frames(message).split())
    return LogException(type=type_[:200], message=words[:MAX_MESSAGE], source=source.strip()[:200])
