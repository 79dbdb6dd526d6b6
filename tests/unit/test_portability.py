"""Every module of netdiag can be imported where Linux's own modules and socket options do not exist."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.support import PACKAGE

#: Modules that Windows' Python does not have (some, not macOS' either).
LINUX_ONLY = "crypt fcntl grp nis ossaudiodev posix pty pwd readline resource spwd syslog termios tty".split()

#: Names in ``socket``, ``os``, ``select`` and ``signal`` that Windows or macOS lacks.
LINUX_NAMES = {
    "socket": (
        "AF_UNIX AF_NETLINK AF_PACKET IP_RECVERR IPV6_RECVERR IP_MTU_DISCOVER IP_MTU IP_PMTUDISC_DO MSG_ERRQUEUE "
        "MSG_DONTWAIT MSG_NOSIGNAL TCP_INFO TCP_USER_TIMEOUT TCP_SYNCNT TCP_QUICKACK SO_BINDTODEVICE SO_MARK "
        "SO_REUSEPORT SOCK_NONBLOCK SOCK_CLOEXEC EAI_NODATA EAI_ADDRFAMILY CMSG_LEN CMSG_SPACE"
    ).split(),
    "os": "geteuid getuid getgid fork uname setns pipe2 getloadavg sched_getaffinity O_NOFOLLOW O_CLOEXEC".split(),
    "select": "poll epoll kqueue".split(),
    "signal": "SIGALRM SIGHUP SIGUSR1 SIGKILL SIGPIPE SIGQUIT alarm setitimer pthread_sigmask".split(),
}

# Everything is imported once as it is, so that the standard library and the dependencies (which look after
# themselves) are loaded; then netdiag alone is imported again, in the poorer world.
SCRIPT = f"""
import importlib, sys

def load():
    for name in sys.argv[1:]:
        importlib.import_module(name)

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {LINUX_ONLY!r}:
            raise ImportError(f"No module named {{name!r}} outside Linux", name=name)

load()
for name in [name for name in sys.modules if name.partition(".")[0] in ("netdiag", *sys.argv[1:], *{LINUX_ONLY!r})]:
    del sys.modules[name]
sys.meta_path.insert(0, Hidden())
for module, names in {LINUX_NAMES!r}.items():
    for name in names:
        vars(importlib.import_module(module)).pop(name, None)
load()
"""


def _names() -> list[str]:
    paths = (path.relative_to(PACKAGE.parent).with_suffix("") for path in sorted(PACKAGE.rglob("*.py")))
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.endswith("__main__")]


def _import_without_linux(names, folder):
    return subprocess.run([sys.executable, "-c", SCRIPT, *names], cwd=folder, capture_output=True, text=True)


def test_every_module_can_be_imported_without_linux(tmp_path):
    run = _import_without_linux(_names(), tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import fcntl", "No module named 'fcntl'"),
        ("import socket; OPTION = socket.IP_RECVERR", "'socket' has no attribute 'IP_RECVERR'"),
        ("from socket import AF_UNIX", "cannot import name 'AF_UNIX'"),
        ("import os; ROOT = os.geteuid() == 0", "'os' has no attribute 'geteuid'"),
    ],
)
def test_the_check_sees_what_is_linux_only(source, complaint, tmp_path):
    (tmp_path / "linux_only.py").write_text(source)
    run = _import_without_linux(["linux_only"], tmp_path)
    assert run.returncode == 1
    assert complaint in run.stderr


def test_the_check_lets_a_guarded_import_pass(tmp_path):
    source = """
        import socket
        try:
            import fcntl
        except ImportError:
            fcntl = None
        RECVERR = getattr(socket, "IP_RECVERR", None)
    """
    (tmp_path / "guarded.py").write_text(textwrap.dedent(source))
    run = _import_without_linux(["guarded"], tmp_path)
    assert run.returncode == 0, run.stderr
