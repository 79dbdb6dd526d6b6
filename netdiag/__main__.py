"""``python -m netdiag`` is the command ``netdiag``."""

from netdiag.cli import command

command()
