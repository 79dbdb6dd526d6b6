"""The names that a capture gives to addresses: DNS answers in it, and the file's own name resolution blocks.

Contract: pure; an index that is asked for single addresses. Names that a connection itself tells (SNI, CONNECT) are
better, and not its business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from netdiag.capture.lookups import Lookup

#: Names kept of one address: a content network's serves thousands.
MAX_NAMES = 16


class Names:
    """Address -> names. ``lookups``: what it was made of."""

    def __init__(self, lookups: Iterable[Lookup], file: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.lookups = tuple(lookups)
        self._file = file or {}
        #: Client and address -> when each name was told, and the names.
        self._told: dict[tuple[str, str], tuple[list[float], list[str]]] = {}
        self._names: dict[str, dict[str, None]] = {}
        answered = [lookup for lookup in self.lookups if lookup.good and lookup.answered is not None]
        for lookup in sorted(answered, key=lambda lookup: lookup.answered or 0.0):
            name = lookup.name.lower()
            for address in lookup.answer.addresses if lookup.answer else ():
                known = self._names.setdefault(address, {})
                if len(known) < MAX_NAMES:
                    known[name] = None
                moments, names = self._told.setdefault((lookup.client, address), ([], []))
                if not names or names[-1] != name:
                    moments.append(lookup.answered or 0.0)
                    names.append(name)

    def __bool__(self) -> bool:
        return bool(self._names or self._file)

    def of(self, address: str) -> tuple[str, ...]:
        """Every name of an address, those of DNS first."""
        found = dict.fromkeys((*self._names.get(address, ()), *self._file.get(address, ())))
        return tuple(found)[:MAX_NAMES]

    def at(self, client: str, address: str, moment: float) -> str:
        """The name by which a client came to an address: the last that it was told before; empty for none."""
        moments, names = self._told.get((client, address), ([], []))
        index = bisect_right(moments, moment)
        if index:
            return names[index - 1]
        return next(iter(self.of(address)), "")
