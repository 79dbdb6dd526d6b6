"""Firewall rules and service-tag files -> which addresses are allowed, and which a service needs.

addresses.py  sets of addresses, IPv4 and IPv6, by interval arithmetic; what notations mean
reading.py    files -> text, bounded
tags.py       the file that Microsoft publishes each week
services.py   which tag a service's names go with; regions
entries.py    what every kind of rule file is turned into, and who decides
formats.py    a rule file -> its firewalls, recognised by content
plain.py      lists of addresses and names
table.py      CSV, and JSON objects with columns
nsg.py        Azure network security groups
chains.py     what iptables and nftables share: chains that jump into each other
iptables.py   iptables-save, iptables -S, iptables -L
nft.py        nft list ruleset
windows.py    netsh advfirewall firewall show rule
coverage.py   a firewall against what is needed

Imports the model only; reads files, and sends nothing.
"""
