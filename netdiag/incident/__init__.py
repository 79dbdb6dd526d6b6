"""Several reports -> one ``Incident``: one root cause, who saw it, what differs between them, what changed. Pure.

merge.py        the whole of it: ``merge_reports``
labels.py       what each report is called
about.py        what a finding is about: connections, servers, names, certificates, times
folding.py      equal findings become one; symptoms go to the findings of other reports that explain them
aspects.py      what one report shows, aspect by aspect
differences.py  what several reports show differently, in sentences
comparing.py    the same target from several machines, or at several times
baseline.py     what changed since it worked
concluding.py   the verdict, and the reasoning

Contract: no I/O, no clock. The order in which reports are given does not matter, no finding is lost, and merging the
reports of an incident again gives the same incident.
"""

from __future__ import annotations

from netdiag.incident.merge import merge_reports

__all__ = ["merge_reports"]
