"""The whole catalogue: importing this module fills it."""

from __future__ import annotations

from netdiag.rules.registry import CATALOGUE, MODULES, load
from netdiag.rules.services import findings

__all__ = ["CATALOGUE", "findings"]

load(MODULES)
