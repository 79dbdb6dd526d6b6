"""``Report`` -> one self-contained HTML page: no network, no trackers, readable without scripts, sharp in print.

page.py     the frame: verdict, navigation, the raw JSON, the note for the network team
markup.py   templates and how values get into them: escaped, bounded, visible
section.py  what a section is, and which sections a report has
waterfall.py, pathway.py, ...   one drawing or table each: numbers and words for its template of the same name

Contract: pure. Every string of a report reaches the page as text (``markup.shown``), never as markup. The policy in the
page's head allows its own style and script by their hashes, and nothing else: no connection can be made, no other
script can run.
"""

from __future__ import annotations

from netdiag.report.html.page import one, several

__all__ = ["one", "several"]
