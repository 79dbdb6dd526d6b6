"""Large libraries, loaded while the first network wait lasts instead of before it begins."""

from __future__ import annotations

from importlib import import_module

from netdiag.model import RUNGS, Rung
from netdiag.probes.threads import spawn

#: What each rung needs, in the order of need. The rules come last: they judge at the end.
_MODULES: tuple[tuple[Rung, str], ...] = (
    ("dns", "netdiag.probes.dns"),
    ("tls", "netdiag.session.secure"),
    ("https", "netdiag.probes.https"),
    ("machine", "netdiag.rules.catalogue"),
)


def preload(until: Rung) -> None:
    """Begin to load in a thread. An import that fails does so again where it is needed."""
    spawn(lambda: load(until))


def load(until: Rung) -> None:
    """Import what a run up to ``until`` will use."""
    for rung, module in _MODULES:
        if RUNGS.index(rung) <= RUNGS.index(until):
            import_module(module)
