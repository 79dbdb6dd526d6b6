"""What else a chain could have been: why its path was chosen, the other paths, the issuers that were refused.

Contract: as certificate.py.
"""

from __future__ import annotations

from netdiag.model import ChainObservation
from netdiag.report import certificate_facts as told
from netdiag.report import chain_facts, sections, units
from netdiag.report.page import Page

#: Other paths, and issuers that were refused, without --verbose.
_PATHS = 4
_REJECTED = 4


def candidates(page: Page, chain: ChainObservation) -> None:
    """Everything that the search found besides the path that stands above."""
    page.blank()
    _paths(page, chain)
    if chain.exhausted:
        page.paragraph("The search ended at one of its limits: there may be other paths.", first="  ")
    _refused(page, chain)


def _paths(page: Page, chain: ChainObservation) -> None:
    others = chain.paths[1:]
    if not others:
        return
    page.paragraph(f"This path: {chain.chosen}. The others:", first="  ")
    shown = others if page.layout.verbose else others[:_PATHS]
    for path in shown:
        sign = sections.sign(page, sections.MARKS["ok" if path.trusted else "failed"])
        page.block(page.text("  ", sign, " "), page.text(told.other_path(path)), "    ")
    if len(shown) < len(others):
        page.paragraph(f"and {units.counted(len(others) - len(shown), 'more path')} (--verbose)", first="    ")


def _refused(page: Page, chain: ChainObservation) -> None:
    if not chain.rejected:
        return
    page.paragraph("Not taken for an issuer:", first="  ")
    verbose = page.layout.verbose
    shown = chain.rejected if verbose else chain.rejected[:_REJECTED]
    sign = sections.sign(page, sections.MARKS["not-run"])
    for entry in shown:
        page.block(page.text("  ", sign, " "), page.text(chain_facts.rejected(entry, whole=verbose)), "    ")
    if len(shown) < len(chain.rejected):
        count = units.counted(len(chain.rejected) - len(shown), "more certificate")
        page.paragraph(f"and {count} (--verbose)", first="    ")
