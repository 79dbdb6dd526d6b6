"""What the template of a chain is given: values only, made by chain.py.

Contract: as section.py. An ``anchor`` is an id on the page, ``href`` the id that a link leads to.
"""

from __future__ import annotations

import msgspec

from netdiag.report.html.particulars import Particulars, Period
from netdiag.report.ladder import Mark


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. ``href`` is the finding that it leads to, empty for none."""

    mark: Mark
    severity: str
    finding: str
    href: str
    words: str
    windows: str
    refused_by: str


class Url(msgspec.Struct, frozen=True, kw_only=True):
    """One URL, and what became of it. ``excuse`` tells why it is no matter."""

    anchor: str
    href: str
    mark: Mark
    purpose: str
    status: str
    took: str
    came: str
    url: str
    why: str
    excuse: str
    more: str


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate of a path. ``state`` is the mark and the words of its revocation, None where nobody asked."""

    anchor: str
    number: int
    mark: Mark
    name: str
    role: str
    lifetime: str
    period: Period | None
    about: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]
    state: tuple[Mark, str] | None
    urls: tuple[Url, ...] = ()
    more: tuple[Url, ...] = ()
    particulars: Particulars | None = None
    #: What leads on to its issuer: a line, a line to where one should be, nothing.
    onward: str = ""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """The elements of one path, the leaf first; ``missing`` is the issuer that was not found, empty for none.

    ``vouched``: the operating system's own verification found it.
    """

    elements: tuple[Element, ...]
    missing: str
    vouched: bool = False


class Other(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate path that was not chosen."""

    mark: Mark
    words: str
    ladder: Ladder


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate as the server sent it; ``pem`` only where no element of the path shows it."""

    place: str
    href: str
    note: str
    sha256: str
    pem: str
    anchor: str


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A private key, or its absence where there should be one."""

    anchor: str
    href: str
    path: str
    mark: Mark
    words: str
    findings: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str], ...]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One chain. ``evidence`` is its observation's entry; ``loose`` are faults of what is no element."""

    anchor: str
    id: str
    evidence: str
    name: str
    mark: Mark
    tally: str
    question: str
    stores: tuple[tuple[str, str], ...]
    ladder: Ladder
    loose: tuple[Fault, ...]
    sent_words: str
    sent: tuple[Sent, ...]
    chosen: str
    others: tuple[Other, ...]
    exhausted: bool
    rejected: tuple[str, ...]
    keys: tuple[Key, ...]
    certutil: tuple[str, ...]
    caveat: str
