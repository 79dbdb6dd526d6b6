"""Who may import whom, what may be imported when, and where sockets are opened: read off the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

import pytest

from tests.support import PACKAGE

#: The units of the design and what each may import besides itself. ``netdiag`` itself (the version, the public API)
#: may be imported by the command line, which is written on it; everybody may ask it for the version.
MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "wire": {"model"},
    "rules": {"model"},
    # The explanations of findings are the catalogue's, which is as pure as this.
    "report": {"model", "rules"},
    "profile": {"model"},
    "incident": {"model", "rules"},
    "pki": {"model"},
    "irlog": {"model"},
    "capture": {"model", "wire"},
    "allowlist": {"model"},
    "probes": {"model", "wire", "pki"},
    "session": {"model", "probes", "capture", "pki", "irlog", "allowlist", "rules"},
    "world": {"session", "model", "probes", "pki", "wire"},
    "cli": {"", "session", "model", "rules", "report", "world", "profile"},
    # The public API, imported when a name is first asked for.
    "": {"session", "model", "capture", "pki", "irlog", "report", "incident"},
    "__main__": {"cli"},
}

#: Packages that cost tens or hundreds of milliseconds to import, and the modules that are themselves imported only
#: when their work is to be done ("capture.": all in it). Everyone else imports these inside the function that needs
#: them; scapy, everyone.
HEAVY: dict[str, set[str]] = {
    "scapy": set(),
    "jinja2": {"report.html."},
    "markupsafe": {"report.html."},
    "numpy": {"capture."},
    "requests": {"probes.https"},
    "rich": set(),
    "pypac": {"probes.proxy_selection"},
    "spnego": {"probes.proxy_auth"},
    "ldap3": set(),
    "OpenSSL": {"probes.tls"},
}

#: Who opens sockets: the one door, and the servers of the embedded world.
SOCKET_OWNERS = ("probes.net", "world.")
SOCKET_CALLS = {
    "socket.socket",
    "socket.create_connection",
    "socket.create_server",
    "socket.fromfd",
    "asyncio.open_connection",
    "asyncio.start_server",
    "socketserver.TCPServer",
    "socketserver.UDPServer",
}
IMPORT_CALLS = {"import_module", "importlib.import_module", "__import__"}


class Import(NamedTuple):
    """One imported module. ``eager``: it happens when the importing module is imported, not in a function later."""

    name: str
    line: int
    eager: bool


def imports(tree: ast.AST, eager: bool = True) -> Iterator[Import]:
    """Every import below ``tree``, those in functions and ``import_module("...")`` calls too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import("." * node.level + f"{node.module}.{alias.name}", node.lineno, eager)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from imports(ast.Module(node.body, []), eager=False)
            yield from imports(ast.Module(node.orelse, []), eager)
        else:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPORT_CALLS:
                yield from (Import(str(arg.value), node.lineno, eager) for arg in node.args if is_text(arg))
            later = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from imports(node, eager and not later)


def is_text(node: ast.AST) -> TypeGuard[ast.Constant]:
    """A string literal."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def unit_of(name: str) -> str:
    """The unit that an absolute name in netdiag belongs to, "" for the package itself: netdiag.pki.trust → pki."""
    unit = name.split(".")[1]
    return unit if unit in MAY_IMPORT else ""


def violations(module: str, source: str) -> list[str]:
    """What breaks the rules in ``source``, the text of the module ``module`` ("probes.net")."""
    tree = ast.parse(source)
    unit = module.partition(".")[0]
    if unit not in MAY_IMPORT:
        return [f"{module}: the unit {unit!r} is not in the table of who may import whom"]
    found = list(_import_violations(module, unit, tree))
    if not module.startswith(SOCKET_OWNERS):
        found += _socket_violations(module, tree)
    return found


def _import_violations(module: str, unit: str, tree: ast.AST) -> Iterator[str]:
    for name, line, eager in imports(tree):
        where = f"{module}:{line}"
        top = name.partition(".")[0]
        if name.startswith("."):
            yield f"{where}: relative import"
        elif eager and top in HEAVY and not any(_is_or_in(module, owner) for owner in HEAVY[top]):
            yield f"{where}: {top} is imported at module level"
        elif top == "netdiag" and name != "netdiag.__version__":
            target = unit_of(f"{name}.")
            if target != unit and target not in MAY_IMPORT[unit]:
                yield f"{where}: {unit or 'netdiag'} may not import {name}"
            if unit == "" and eager:
                yield f"{where}: netdiag imports {name} before it is asked for"


def _is_or_in(module: str, owner: str) -> bool:
    """Whether ``module`` is ``owner``, or lies in it, where that ends in a dot."""
    return module.startswith(owner) if owner.endswith(".") else module == owner


def _socket_violations(module: str, tree: ast.AST) -> Iterator[str]:
    names = {  # from socket import create_connection [as connect]
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            called = names.get(called, called)
            if called in SOCKET_CALLS:
                yield f"{module}:{node.lineno}: {called}() outside probes/net.py"


def _modules() -> dict[str, str]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def test_netdiag_keeps_the_rules():
    assert [line for module, source in _modules().items() for line in violations(module, source)] == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("model", "import netdiag.pki.trust", "model:1: model may not import netdiag.pki.trust"),
        ("rules.tls", "from netdiag.probes.net import Net", "rules.tls:1: rules may not import netdiag.probes.net.Net"),
        ("report.text", "from netdiag import pki", "report.text:1: report may not import netdiag.pki"),
        ("report.text", "from netdiag import render", "report.text:1: report may not import netdiag.render"),
        ("pki.path", "def f():\n    from netdiag.wire import http", "pki.path:2: pki may not import netdiag.wire.http"),
        ("pki.path", "from . import trust", "pki.path:1: relative import"),
        (
            "wire.http",
            "import importlib\nimportlib.import_module('netdiag.session')",
            "wire.http:2: wire may not import netdiag.session",
        ),
        ("cli", "from netdiag.probes.net import Net", "cli:1: cli may not import netdiag.probes.net.Net"),
        ("", "from netdiag.session import diagnose_endpoint", ":1: netdiag imports netdiag.session.diagnose_endpoint "),
        ("helpers", "", "helpers: the unit 'helpers' is not in the table"),
        (
            "capture.read",
            "try:\n    import scapy.all\nexcept ImportError:\n    pass",
            "capture.read:2: scapy is imported",
        ),
        ("session", "class A:\n    from rich import console", "session:2: rich is imported at module level"),
        ("session", "if not TYPE_CHECKING:\n    import numpy", "session:2: numpy is imported at module level"),
        ("probes.dns", "import socket\nsocket.socket()", "probes.dns:2: socket.socket() outside probes/net.py"),
        (
            "probes.dns",
            "from socket import create_connection as c\ndef f():\n    c(('', 1))",
            "probes.dns:3: socket.create_connection() outside",
        ),
    ],
)
def test_the_check_sees_a_violation(module, source, complaint):
    found = violations(module, source)
    assert len(found) == 1
    assert found[0].startswith(complaint)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rules.tls", "from netdiag.model import Finding\nfrom netdiag.rules.registry import rule"),
        ("session", "from netdiag import __version__"),
        ("cli.endpoint", "from netdiag import diagnose_endpoint, rules"),
        ("", "def __getattr__(name):\n    from netdiag.session import diagnose_endpoint\n    return diagnose_endpoint"),
        ("report.html", "def render():\n    import rich"),
        ("probes.https", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy"),
        ("probes.net", "import socket\nsocket.socket()"),
        ("world.dns", "import socket\nsocket.socket()"),
        ("probes.dns", "def f(s: 'socket.socket'): s.connect(('', 1))"),
    ],
)
def test_the_check_lets_good_code_pass(module, source):
    assert violations(module, source) == []


@pytest.mark.parametrize("command", ["--version", "explain"])
def test_nothing_heavy_is_imported_for(command):
    script = (
        "import sys\n"
        f"sys.argv = ['netdiag', {command!r}]\n"
        "from netdiag.cli import main\n"
        "try:\n    status = main()\nexcept SystemExit as end:\n    status = end.code\n"
        "print(status or 0, *sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    status, *loaded = run.stderr.splitlines()[-1].split()
    assert status == "0"
    assert run.stdout
    assert HEAVY.keys() & set(loaded) == set()
