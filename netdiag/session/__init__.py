"""Runs the probes in ladder order, then the rules. The only threads and deadlines of netdiag are here.

target.py      what the user typed -> Target
options.py     the user's choices
ladder.py      one run: this machine, the ways, the report
way.py         one way to the target, rung by rung
resolution.py  one name, asked everywhere at once
secure.py      TLS, its controls, the chain
judgement.py   rules, verdict, report
fleet.py       many targets at once
"""

from netdiag.session.fleet import diagnose_endpoint, diagnose_endpoints
from netdiag.session.judgement import judge, rejudge
from netdiag.session.options import Options
from netdiag.session.target import parse_server, parse_target

__all__ = [
    "Options",
    "diagnose_endpoint",
    "diagnose_endpoints",
    "judge",
    "parse_server",
    "parse_target",
    "rejudge",
]
