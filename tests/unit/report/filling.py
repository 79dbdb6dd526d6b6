"""Reports with given strings in every place that holds one. The places are read off the types: a new one is in too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from netdiag.model import (
    SCHEMA_VERSION,
    CaptureObservation,
    ChainObservation,
    ConnectionObservation,
    KeyObservation,
    Observation,
    Report,
    ResetObservation,
    RetrievalObservation,
)

#: A target that was tested, a capture, certificate files: what printers tell apart.
KINDS = ("target", "capture", "certificate")

#: Moments and sizes that are neither zero nor absurd.
_INT, _FLOAT = 3, 1_750_000_000.5


class Filler:
    """Builds values of any type of the model; ``text`` gives the next string."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text
        self._turn = itertools.count()

    def value(self, kind: inspect.Type) -> Any:
        """A value of that type, as full as it can be."""
        if isinstance(kind, inspect.StrType):
            return self._text()
        if isinstance(kind, inspect.StructType):
            return kind.cls(**{field.name: self._field(field) for field in kind.fields})
        if isinstance(kind, inspect.UnionType):
            return self.value(next(each for each in kind.types if not isinstance(each, inspect.NoneType)))
        if isinstance(kind, inspect.VarTupleType):
            several = kind.item_type.types if isinstance(kind.item_type, inspect.UnionType) else (kind.item_type,) * 2
            return tuple(self.value(each) for each in several)
        if isinstance(kind, inspect.TupleType):
            return tuple(self.value(each) for each in kind.item_types)
        if isinstance(kind, inspect.LiteralType):
            return self._one_of([choice for choice in kind.values if choice != ""])
        if isinstance(kind, inspect.EnumType):
            return self._one_of(list(kind.cls))
        plain: dict[type, Any] = {
            inspect.IntType: _INT,
            inspect.FloatType: _FLOAT,
            inspect.BoolType: True,
            inspect.BytesType: b"\x30\x00",
        }
        return plain[type(kind)]

    def _field(self, field: inspect.Field) -> Any:
        if field.name == "outcome":
            return self._one_of(["ok", "failed"])
        if field.name in ("took_s", "duration_s"):
            return 0.25
        return self.value(field.type)

    def _one_of(self, choices: list[Any]) -> Any:
        return choices[next(self._turn) % len(choices)]


def filled(kind: str, text: Callable[[], str]) -> Report:
    """A report of that kind, every string of which is the next of ``text``.

    It hangs together: the verdict has its finding, findings their evidence, resets their connection, URLs their chain.
    """
    report: Report = Filler(text).value(inspect.type_info(Report))
    wanted = {
        "target": lambda o: not isinstance(o, CaptureObservation),
        "capture": lambda o: True,
        "certificate": lambda o: not isinstance(o, CaptureObservation),
    }[kind]
    observations = tuple(_linked(o, report) for o in report.observations if wanted(o))
    findings = tuple(
        msgspec.structs.replace(finding, evidence=(*(o.id for o in observations), *finding.evidence))
        for finding in report.findings
    )
    return msgspec.structs.replace(
        report,
        schema_version=SCHEMA_VERSION,
        command=report.command if kind == "target" else "pcap",
        target=msgspec.structs.replace(report.target, scheme="https" if kind == "target" else "file"),
        verdict=msgspec.structs.replace(
            report.verdict, status="failed", finding=findings[0].id, summary=report.verdict.summary
        ),
        findings=findings,
        observations=observations,
    )


def _linked(observation: Observation, report: Report) -> Observation:
    parents: dict[type[Observation], type[Observation]] = {
        RetrievalObservation: ChainObservation,
        KeyObservation: ChainObservation,
        ResetObservation: ConnectionObservation,
    }
    changes: dict[str, Any] = {"source": "probe"}
    if type(observation) in parents:
        changes["parent"] = next(o.id for o in report.observations if isinstance(o, parents[type(observation)]))
    if isinstance(observation, RetrievalObservation):
        changes["element"] = 0
    return msgspec.structs.replace(observation, **changes)


def strings(value: Any) -> Iterator[str]:
    """Every string in a value of the model."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from strings(getattr(value, name))
    elif isinstance(value, tuple):
        for each in value:
            yield from strings(each)
