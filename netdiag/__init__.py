"""netdiag: why can this machine not reach that endpoint, who is to blame, and what must they change?

model.py    the types: Target, Observation, Finding, Verdict, Report
probes/     network I/O in, observations out; never judges
wire/       bytes <-> values, shared by probes and captures
pki/        X.509 without a network
capture/    capture files -> observations
irlog/      event logs and pasted error text -> observations
rules/      observations -> findings; pure
session.py  runs probes in ladder order, then the rules
report/     Report -> text, JSON
cli/        the command, written on this public API
"""

__version__ = "0.1.0"
