"""Proxy auto-configuration: load a PAC script, run it, read its answer.

Contract: ``PacError`` for everything that goes wrong, always within the deadline. The script is somebody else's
program: it runs in a process of its own, because an endless loop in it would hold this interpreter's lock for ever, and
because it could otherwise read this process's environment. The child opens no sockets: it asks its parent to resolve
names.

The script language and its functions: developer.mozilla.org, "Proxy Auto-Configuration (PAC) file".
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from netdiag.model import Target, UsageError
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline
from netdiag.probes.threads import bounded

#: Chromium refuses larger scripts too (kDefaultMaxResponseBytes, 1 MiB).
MAX_SCRIPT = 1 << 20
#: A script that asks for more names than this is taken to loop.
MAX_LOOKUPS = 64
#: One line of the child's; an answer lists a handful of proxies.
MAX_LINE = 65536

_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from netdiag.probes.pac_child import run; run()"


class PacError(Exception):
    """The script could not be loaded or run, or gave no usable answer. The message is for the reader."""


def check(location: str) -> None:
    """Refuse what a user wrote and what can be no script: ``UsageError`` for a file that cannot be read, say."""
    try:
        parts = urllib.parse.urlsplit(location)
        if parts.scheme in ("http", "https") and parts.hostname:
            return
        if not location:
            raise ValueError("it names no file and no URL")
        if len(parts.scheme) >= 2 and parts.scheme != "file":
            raise ValueError("it is no file, and no http or https URL")
        _read(Path(urllib.request.url2pathname(parts.path)) if parts.scheme == "file" else Path(location))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"proxy 'pac:{location[:200]}': {reason}") from None


def load(machine: Machine, location: str, deadline: Deadline) -> str:
    """The text of the script at an http, https or file URL, or a path."""
    try:
        parts = urllib.parse.urlsplit(location)
        if parts.scheme in ("http", "https"):
            data = bounded(lambda: _download(machine, location, deadline), deadline)
        elif parts.scheme == "file":
            path = Path(urllib.request.url2pathname(parts.path))
            data = bounded(lambda: _read(path), deadline)
        elif len(parts.scheme) < 2:  # none, or the letter of a drive
            data = bounded(lambda: _read(Path(location)), deadline)
        else:
            raise PacError(f"a PAC script cannot be loaded over {parts.scheme}")
    except urllib.error.HTTPError as error:
        error.close()
        raise PacError(f"the server answered {error.code} {' '.join(str(error.reason).split())}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise PacError(f"it could not be loaded: {reason}") from error
    if len(data) > MAX_SCRIPT:
        raise PacError(f"it is larger than {MAX_SCRIPT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_SCRIPT + 1)


def _download(machine: Machine, url: str, deadline: Deadline) -> bytes:
    """Fetch the script directly: it says which proxy to use, so none is used to get it."""

    class Plain(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = _dial(machine, self.host, self.port, deadline)

    class Secure(http.client.HTTPSConnection):
        def connect(self) -> None:
            raw = _dial(machine, self.host, self.port, deadline)
            self.sock = ssl.create_default_context().wrap_socket(raw, server_hostname=self.host)

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, request)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, request)

    opener = urllib.request.OpenerDirector()
    for handler in (
        PlainHandler(),
        SecureHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    with opener.open(url, timeout=deadline.require()) as response:
        data: bytes = response.read(MAX_SCRIPT + 1)
    return data


def _dial(machine: Machine, host: str, port: int, deadline: Deadline) -> socket.socket:
    """A socket to the first of the host's addresses that takes a connection."""
    last: OSError = OSError(f"{host} has no address")
    for address in machine.net.lookup(host):
        try:
            sock = machine.net.connect(Address(address, port), deadline).socket
        except OSError as error:
            last = error
        else:
            sock.settimeout(deadline.require())
            return sock
    raise last


def evaluate(machine: Machine, script: str, target: Target, deadline: Deadline) -> str:
    """What the script's ``FindProxyForURL`` answers for the target."""
    scheme = "http" if target.scheme == "http" else "https"
    # As browsers do: no default port, and no path of an https URL.
    authority = target.authority.removesuffix(":80" if scheme == "http" else ":443")
    url = f"{scheme}://{authority}{target.path if scheme == 'http' else '/'}"
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(sys.path)]
    # Windows cannot open its own libraries without these two; nothing else of the environment is the script's business.
    environment = {name: os.environ[name] for name in ("SYSTEMROOT", "PATH") if name in os.environ}
    try:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
            encoding="ascii",
        )
    except OSError as error:
        raise PacError(f"no process to run it in: {error}") from error
    timer = threading.Timer(deadline.remaining(), child.kill)
    timer.daemon = True
    timer.start()
    try:
        answer = _converse(machine, child, {"script": script, "url": url, "host": target.host}, deadline)
    finally:
        timer.cancel()
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # flushing to a child that is gone
                if pipe is not None:
                    pipe.close()
        child.wait()
    return answer


def _converse(machine: Machine, child: subprocess.Popen[str], question: dict[str, str], deadline: Deadline) -> str:
    """Ask the child, resolve names for it, and return its answer."""
    assert child.stdin is not None
    assert child.stdout is not None
    message: dict[str, Any] = question
    for _ in range(MAX_LOOKUPS + 1):
        try:
            child.stdin.write(json.dumps(message) + "\n")
            child.stdin.flush()
            reply = json.loads(child.stdout.readline(MAX_LINE))
        except (OSError, ValueError) as error:
            why = "it did not end in time" if not deadline.remaining() else "the process that ran it ended early"
            raise PacError(why) from error
        if "lookup" not in reply:
            break
        message = {"addresses": _lookup(machine, str(reply["lookup"]), deadline)}
    else:
        raise PacError(f"it looked up more than {MAX_LOOKUPS} names")
    if "error" in reply:
        raise PacError(f"the script fails: {reply['error']}")
    answer = reply["answer"]
    if answer is not None and not isinstance(answer, str):
        raise PacError("FindProxyForURL returned something other than a string")
    return answer or ""


def _lookup(machine: Machine, name: str, deadline: Deadline) -> tuple[str, ...]:
    try:
        return bounded(lambda: machine.net.lookup(name), deadline)
    except (OSError, UnicodeError):
        return ()
