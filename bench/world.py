"""Where the network benches run: a network namespace of our own where we may make one, else plain loopback.

In the namespace the machine's name servers are ours, so that getaddrinfo is part of what is measured. It is made with
``unshare``, so it ends with the process, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from bench.servers import Settings
from netdiag.world.authority import Authority, Leaf
from netdiag.world.certificates import pem

ZONE = "bench.test"
#: Documentation addresses (RFC 5737, RFC 3849) on the namespace's own loopback.
SERVER = "192.0.2.10"
NAME_SERVER = "192.0.2.53"
#: Addresses whose packets a filter drops without a word.
DEAD_IPV6 = "2001:db8::dead"
SILENT_NAME_SERVER = "192.0.2.99"

_INSIDE = "NETDIAG_BENCH_NAMESPACE"


def inside() -> bool:
    """Whether this process is in a namespace of its own."""
    return os.environ.get(_INSIDE) == "1"


def enter_namespace() -> NoReturn:
    """Run this bench again inside a namespace. The process is another one from here."""
    os.environ["PATH"] = tool_path()
    os.environ[_INSIDE] = "1"
    sys.stdout.flush()
    os.execvp("unshare", [*_unshare(), sys.executable, "-m", "bench", *sys.argv[1:]])


def why_no_namespace() -> str:
    """The reason why none can be made here; empty when it can."""
    if sys.platform != "linux":
        return f"network namespaces need Linux, this is {sys.platform}"
    absent = [tool for tool in ("unshare", "ip", "nft", "mount") if not shutil.which(tool, path=tool_path())]
    if absent:
        return f"not installed: {', '.join(absent)}"
    if subprocess.run([*_unshare(), "true"], capture_output=True).returncode != 0:
        return "this machine lets only root make a network namespace"
    return ""


def why_no_lab() -> str:
    """The reason why the tests' lab of many namespaces cannot be built here; empty when it can."""
    if sys.platform != "linux":
        return f"network namespaces need Linux, this is {sys.platform}"
    tools = ("ip", "nft", "nsenter", "unshare", "nginx", "setpriv", "traceroute")
    absent = [tool for tool in tools if not shutil.which(tool, path=tool_path())]
    if absent:
        return f"not installed: {', '.join(absent)}"
    # Who is root of a user namespace only may not do what "ip netns" does.
    everybody = Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]
    return "" if os.geteuid() == 0 and everybody else "it needs root"


def _unshare() -> list[str]:
    return ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


def tool_path() -> str:
    """PATH and the folders that a user's PATH on Debian lacks."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def set_up_namespace() -> None:
    """Addresses, the filter, and nothing else."""
    for command in (
        "ip link set lo up",
        f"ip address add {SERVER}/32 dev lo",
        f"ip address add {NAME_SERVER}/32 dev lo",
        f"ip address add {SILENT_NAME_SERVER}/32 dev lo",
        f"ip -6 address add {DEAD_IPV6}/128 dev lo nodad",
        "nft add table inet bench",
        "nft add chain inet bench input { type filter hook input priority 0 ; }",
        f"nft add rule inet bench input ip daddr {SILENT_NAME_SERVER} drop",
        f"nft add rule inet bench input ip6 daddr {DEAD_IPV6} drop",
    ):
        subprocess.run(command.split(), check=True)


def use_name_servers(folder: Path, *servers: str) -> None:
    """Make these the machine's name servers, for this namespace only."""
    file = folder / "resolv.conf"
    file.write_text("".join(f"nameserver {server}\n" for server in servers))
    used = Path("/etc/resolv.conf").resolve()
    if not used.samefile(file):
        subprocess.run(["mount", "--bind", str(file), str(used)], check=True)


def make_authority(folder: Path) -> tuple[Path, Path]:
    """A root, and a server for localhost and the whole zone: (root's PEM, PEM of the server's key and chain)."""
    authority = Authority(folder, time.time())
    root_file, server_file = folder / "root.pem", folder / "server.pem"
    root_file.write_bytes(pem(authority.root("private")))
    authority.write(Leaf(names=("localhost", ZONE, f"*.{ZONE}"), issuer="private"), server_file)
    return root_file, server_file


@contextlib.contextmanager
def servers(folder: Path, settings: Settings) -> Iterator[None]:
    """The delayed servers, from the moment they listen."""
    file = folder / "settings.json"
    settings.save(file)
    command = [sys.executable, "-m", "bench.servers", str(file)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the bench's own servers did not start")
        yield
    finally:
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])
