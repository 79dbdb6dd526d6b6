"""Bytes <-> values, without sockets: shared by probes, which speak, and captures, which overhear."""
