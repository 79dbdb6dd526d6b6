"""Event logs, log files and pasted error texts -> observations. Reads files; judges nothing.

reader.py      files -> observations; what kind a file is
source.py      a file's bytes in pieces, and their encoding
text.py        log files and pasted text -> entries
events.py      Event Viewer's XML, and .evtx -> entries
table.py       CSV -> entries
documents.py   JSON -> entries
entry.py       one entry, and what is counted
times.py       times and levels, as logs write them
layers.py      an entry's text -> nested exceptions, without escapes, stacks and secrets
facts.py       hosts, assemblies, certificates, durations, identifiers
codes.py       numbers of errors, decoded by code_table.py
grouping.py    equal entries together: how often, and when
"""
