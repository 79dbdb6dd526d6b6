"""``Report`` -> one self-contained HTML page: no network, no trackers, readable without scripts, sharp in print.

page.py     a page: the frame, and what it holds of one report, of several, of an incident
views.py    a report for its templates: the verdict in words, the note for the network team
section.py  what a section is, and which sections a report has
markup.py   templates and how values get into them: escaped, bounded, visible
case.py     an incident: what changed, who sees what, the merged findings
waterfall.py, pathway.py, ...   one drawing or table each: numbers and words for its template of the same name

Contract: pure. Every string of a report reaches the page as text (``markup.shown``), never as markup. The policy in the
page's head allows its own style and script by their hashes, and nothing else: no connection can be made, no other
script can run.
"""

from __future__ import annotations

from netdiag.report.html.page import incident, one, several

__all__ = ["incident", "one", "several"]
