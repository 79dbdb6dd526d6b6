"""What the checks of one path share: its elements, the question asked, and how a fault is written down."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from netdiag.model import ChainFault, ChainProfile, ChainPurpose, FaultKind, Severity
from netdiag.pki.facts import Facts
from netdiag.pki.profiles import ALL, Profiles
from netdiag.pki.status import FLAGS, hresult


@dataclass(frozen=True)
class Context:
    """One path, leaf first, and what is asked of it. ``anchored``: its last element is a trust anchor."""

    elements: Sequence[Facts]
    anchored: bool
    at: float
    profile: ChainProfile
    purpose: ChainPurpose

    def is_anchor(self, index: int) -> bool:
        """Whether this element is the trust anchor."""
        return self.anchored and index == len(self.elements) - 1

    def fault(
        self,
        kind: FaultKind,
        index: int,
        detail: str,
        flag: str = "",
        refused_by: Profiles = ALL,
        otherwise: Severity = Severity.INFO,
    ) -> ChainFault:
        """A fault of one element: an error where the profile refuses it, else ``otherwise``."""
        if self.profile in refused_by:
            return fault(kind, index, self.elements[index], detail, flag)
        return fault(kind, index, self.elements[index], detail, flag, otherwise, tuple(sorted(refused_by)))


def fault(
    kind: FaultKind,
    index: int,
    element: Facts | None,
    detail: str,
    flag: str = "",
    severity: Severity = Severity.ERROR,
    refused_by: tuple[ChainProfile, ...] = (),
) -> ChainFault:
    """A fault of one element; ``flag`` is the .NET name of its status. ``element`` is None for what cannot be read."""
    status, result = FLAGS[flag]
    return ChainFault(
        kind=kind,
        element=index,
        subject=element.summary.subject if element else "",
        detail=detail,
        severity=severity,
        status_flag=flag,
        status=status,
        hresult=hresult(result),
        certificate=element.sha256 if element else "",
        refused_by=refused_by,
    )


def utc(seconds: float) -> str:
    """A moment for a reader: "2026-11-23 15:09 UTC"; certificates reach the year 9999 (RFC 5280 §4.1.2.5)."""
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s after 1970"
