"""What the tests about nodes share: a certificate, a machine that sees them, and a run against one."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netdiag.model import MachineInfo, Report
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net
from netdiag.session import Options, diagnose_node
from tests import certs
from tests.node_server import tls_context

HOST = "node-b"
ROOT = certs.authority("Contoso Node Root")
LEAF = certs.make(HOST, ROOT, hosts=[HOST])
STORE = certs.store(ROOT, vouched=True)
#: Where the other node seems to be.
AT = "10.1.2.3"


def context(folder: Path, leaf: certs.Issued = LEAF, *, client: bool = False) -> Any:
    """What a node presents, and whether it insists on a certificate of the other side."""
    pem, key, root = folder / "node.pem", folder / "node.key", folder / "root.pem"
    pem.write_bytes(leaf.pem)
    key.write_bytes(leaf.key_pem)
    root.write_bytes(ROOT.pem)
    return tls_context(str(pem), str(key), str(root) if client else "")


def machine(
    port: int | None,
    *,
    names: Mapping[str, str] = {HOST: AT},
    host_name: str = "NODE-A",
    environment: Mapping[str, str] = {},
) -> Machine:
    """A machine for which every address leads to ``port`` of loopback; None is a black hole."""

    def lookup(name: str) -> tuple[str, ...]:
        if name == "localhost":
            return ("127.0.0.1",)
        if name not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return (names[name],)

    return Machine(
        net=Net(lambda _: None if port is None else Address("127.0.0.1", port), lookup),
        hosts_file=Path("/nowhere/hosts"),
        name_servers=(),
        environment=environment,
        system_settings=False,
        clock=lambda: certs.AT,
        info=MachineInfo(name=host_name),
        public_roots=certs.store(certs.authority("Some Public Root")),
    )


def diagnose(port: int | None, target: str = HOST, *, timeout_s: float = 5.0, **options: Any) -> Report:
    """One run, without retrieval unless told otherwise."""
    about = {"fetch": False, "cache": False, "tap": False, **options}
    named = {key: about.pop(key) for key in ("names", "host_name", "environment") if key in about}
    return diagnose_node(
        target, options=Options(trust=STORE, timeout_s=timeout_s, **about), machine=machine(port, **named)
    )
