"""The lab: namespaces, servers and a client, built once a session; ``run`` puts one scenario on it and diagnoses.

Contract: only processes started here are ended, by their ids; everything else lives in the namespaces and one temporary
folder. ``close`` may be called at any moment and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import lab_services
import lab_sites
from lab_services import DNS_GOOD, DNS_GOOD_V6, DNS_OTHER, KDC, PASSWORD, PROXY, REALM, USER
from lab_sites import BY_NAME
from lab_topology import TOPOLOGY, Network, run

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
TOOLS = (
    *"ip nft nsenter unshare ps openssl faketime nginx named squid microsocks".split(),
    *"krb5kdc kdb5_util kadmin.local kinit".split(),
)
HELPERS = tuple(
    lab_services.LIB / name
    for name in ("basic_ncsa_auth", "digest_file_auth", "ntlm_fake_auth", "negotiate_kerberos_auth")
)
SNI_FILTER_PORT = 8443


@dataclass(frozen=True)
class Setting:
    """What one scenario changes: rules of the firewall and of the client, the client's files, clock and environment."""

    forward: str = ""
    redirect: str = ""
    client: str = ""
    routes: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = (DNS_GOOD,)
    resolv_options: str = "timeout:1 attempts:1"
    hosts: str = HOSTS
    clock: str = ""
    ticket: bool = False
    ipv6: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)


class Lab:
    """Built by ``open``, ended by ``close``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="netdiag-lab-"))
        self.folder.chmod(0o755)
        self.network = Network(TOPOLOGY, {"server": lab_sites.server_addresses()})
        self._processes: list[subprocess.Popen[bytes]] = []

    def open(self) -> None:
        """Everything up and accepting connections."""
        self.network.up()
        lab_sites.write_pki(self.folder, datetime.datetime.now(datetime.UTC))
        self._web()
        self._names()
        self._kdc()
        self._proxies()
        self._wait()

    def close(self) -> None:
        """End every server, delete the namespaces and the folder. Never raises."""
        _end(self._processes)
        self.network.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name: str) -> Path:
        """A file of the lab's folder: root.pem, interceptor.pem, ..."""
        return self.folder / name

    def run(self, setting: Setting, argv: list[str], timeout_s: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Run netdiag as the client under ``setting``, then undo the setting."""
        return self.execute(setting, [sys.executable, "-m", "netdiag", *argv], timeout_s=timeout_s)

    def execute(
        self,
        setting: Setting,
        command: list[str],
        text: bytes = b"",
        timeout_s: float = 60,
        namespace: str = "client",
    ) -> subprocess.CompletedProcess[bytes]:
        """Run any command as ``run`` runs netdiag, in the project's folder, with ``text`` on its standard input.

        In another ``namespace`` it sees the same names, and not the client's network.
        """
        nameservers = "".join(f"nameserver {address}\n" for address in setting.resolvers)
        self.file("resolv.conf").write_text(f"{nameservers}options {setting.resolv_options}\n")
        self.file("hosts").write_text(setting.hosts)
        undo = self._apply(setting)
        try:
            return subprocess.run(
                self._client(setting, command, namespace),
                input=text,
                capture_output=True,
                check=False,
                timeout=timeout_s,
                cwd=ROOT,
                env=self._environment(setting),
            )
        finally:
            for step in reversed(undo):
                step()

    def _apply(self, setting: Setting) -> list[Callable[[], object]]:
        """Filters and routes; what undoes each of them."""
        undo: list[Callable[[], object]] = []
        filters = {"firewall": _table(setting.forward, setting.redirect), "client": _table("", "", setting.client)}
        for namespace, table in filters.items():
            if table:
                run(self.network.inside(namespace, ["nft", "-f", "-"]), table)
                drop = self.network.inside(namespace, ["nft", "delete", "table", "inet", "lab"])
                undo.append(partial(run, drop))
        client = self.network.name("client")
        if not setting.ipv6:
            gateway = dict(TOPOLOGY.routes["client"][1:])["default"]
            route6 = ["default", "via", gateway]
            run(["ip", "-n", client, "-6", "route", "del", *route6])
            undo.append(lambda: run(["ip", "-n", client, "-6", "route", "add", *route6]))
        for route in setting.routes:
            run(["ip", "-n", client, "route", "add", *route.split()])
            undo.append(partial(run, ["ip", "-n", client, "route", "del", *route.split()]))
        return undo

    def _client(self, setting: Setting, argv: list[str], namespace: str = "client") -> list[str]:
        """In the client's namespace, with its own hosts and resolv.conf mounted over the host's for it alone."""
        if setting.clock:
            argv = ["faketime", "-f", setting.clock, *argv]
        return self.network.inside(namespace, self.mounted({"hosts": "hosts", "resolv.conf": "resolv.conf"}, argv))

    def mounted(self, files: Mapping[str, str], argv: list[str]) -> list[str]:
        """The command line that sees ``files``, names under /etc and in the lab's folder, in place of the host's."""
        mounts = " && ".join(f"mount --bind {self.file(name)} /etc/{etc}" for etc, name in files.items())
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', "sh", *argv]

    def _environment(self, setting: Setting) -> dict[str, str]:
        cache = self.file("ccache") if setting.ticket else self.file("no-ccache")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "KRB5_CONFIG": str(self.file("krb5.conf")),
            "KRB5CCNAME": f"FILE:{cache}",
            **setting.environment,
        }

    def start(self, namespace: str, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a server; ``close`` ends it, and what it started, if nobody did before."""
        with self.file(f"{Path(argv[0]).name}-{len(self._processes)}.out").open("wb") as log:
            process = subprocess.Popen(
                self.network.inside(namespace, argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "LANG": "C", **environment},
            )
        self._processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a server before the lab ends."""
        _end([process])
        self._processes.remove(process)

    def ready(self, namespace: str, places: list[tuple[str, int]], role: str = "ready") -> None:
        """Wait until each address and port in a namespace accepts connections. ``RuntimeError`` when one does not.

        ``role`` says how that is found out (lab_servers.py: "ready" or "listens").
        """
        roles = [f"{role},{host},{port}" for host, port in places]
        try:
            run(self.network.inside(namespace, [sys.executable, str(HERE / "lab_servers.py"), *roles]))
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{self.logs()}") from None

    def _roles(self, namespace: str, *roles: str) -> None:
        self.start(namespace, [sys.executable, str(HERE / "lab_servers.py"), *roles])

    def _web(self) -> None:
        self.file("web.conf").write_text(lab_sites.nginx_conf(self.folder))
        self.start("server", ["nginx", "-c", str(self.file("web.conf"))])
        self.file("plain.conf").write_text(lab_sites.plain_nginx_conf(self.folder, f"{PROXY}:3140"))
        self.start("proxy", ["nginx", "-c", str(self.file("plain.conf"))])
        at = {name: f"{BY_NAME[f'{name}.contoso.test'].address},443" for name in ("mutual", "mute", "hangup")}
        good = f"{self.file('good.pem')},{self.file('good.key')},{self.file('root.pem')}"
        self._roles(
            "server",
            "slow,127.0.0.1,8081",
            f"mutual,{at['mutual']},{good}",
            f"mute,{at['mute']}",
            f"hangup,{at['hangup']}",
        )
        self._roles("firewall", f"sni-filter,0.0.0.0,{SNI_FILTER_PORT},{lab_sites.FRONTEND}")

    def _names(self) -> None:
        for name, text in lab_services.zones().items():
            self.file(name).write_text(text)
        for name, *addresses in (("good", DNS_GOOD, DNS_GOOD_V6), ("other", DNS_OTHER)):
            conf = self.file(f"named-{name}.conf")
            conf.write_text(lab_services.named_conf(self.folder, name, *addresses))
            self.start("dns", ["named", "-g", "-n", "1", "-c", str(conf)])

    def _kdc(self) -> None:
        self.file("krb5.conf").write_text(lab_services.krb5_conf(self.folder))
        self.file("kdc.conf").write_text(lab_services.kdc_conf(self.folder))
        environment = self._kerberos()

        def tool(*argv: str) -> None:
            subprocess.run(argv, env={"PATH": os.environ["PATH"], **environment}, check=True, capture_output=True)

        tool("kdb5_util", "create", "-s", "-r", REALM, "-P", "lab")
        keytab = self.file("http.keytab")
        for query in (
            f"addprinc -pw {PASSWORD} {USER}",
            f"addprinc -randkey HTTP/{lab_services.PROXY_NAME}",
            f"ktadd -k {keytab} HTTP/{lab_services.PROXY_NAME}",
        ):
            tool("kadmin.local", "-r", REALM, "-q", query)
        keytab.chmod(0o644)
        self.start("proxy", ["krb5kdc", "-n", "-r", REALM], **environment)

    def _kerberos(self) -> dict[str, str]:
        return {
            "KRB5_CONFIG": str(self.file("krb5.conf")),
            "KRB5_KDC_PROFILE": str(self.file("kdc.conf")),
            "KRB5RCACHETYPE": "none",
        }

    def _proxies(self) -> None:
        digest = run(["openssl", "passwd", "-apr1", PASSWORD]).strip()
        self.file("basic.passwd").write_text(f"{USER}:{digest}\n")
        self.file("digest.passwd").write_text(f"{USER}:{PASSWORD}\n")
        self.file("hosts.squid").write_text(HOSTS)
        self.file("proxy.pac").write_text(lab_services.PAC)
        if lab_services.CERTGEN.exists():
            run([str(lab_services.CERTGEN), "-c", "-s", str(self.file("certgen")), "-M", "4MB"])
        user = pwd.getpwnam("proxy")
        squids = lab_services.squids(self.folder)
        written = [self.file(f"squid-{squid.name}.log") for squid in squids]
        for log in written:
            log.touch()
        for path in (*written, *self.folder.glob("certgen"), *self.folder.glob("certgen/**/*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        for squid in squids:
            conf = self.file(f"squid-{squid.name}.conf")
            conf.write_text(lab_services.squid_conf(squid, self.folder))
            name = f"{self.network.tag}{squid.name}"
            self.start("proxy", ["squid", "-N", "-n", name, "-f", str(conf)], **self._kerberos())
        self.file("resolv.socks").write_text(f"nameserver {DNS_GOOD}\noptions timeout:1 attempts:1\n")
        for command in lab_services.socks_commands():
            self.start("proxy", self.mounted({"resolv.conf": "resolv.socks"}, list(command)))

    def _proxy_ports(self) -> list[int]:
        ports = [squid.port for squid in lab_services.squids(self.folder)]
        return [3140, lab_services.SOCKS, lab_services.SOCKS_PASSWORD, *ports]

    def _wait(self) -> None:
        listening = {
            "dns": [(DNS_GOOD, 53), (DNS_GOOD_V6, 53), (DNS_OTHER, 53)],
            "proxy": [(KDC, 88), *((PROXY, port) for port in self._proxy_ports())],
            "firewall": [("127.0.0.1", SNI_FILTER_PORT)],
            "server": [("127.0.0.1", 8081), *((s.address, 443) for s in lab_sites.SITES if s.kind != "none")],
        }
        for namespace, places in listening.items():
            self.ready(namespace, places)
        setting = Setting(ticket=True)
        self.file("resolv.conf").write_text("")
        self.file("hosts").write_text(HOSTS)
        command = self._client(setting, ["kinit", USER])
        run(command, f"{PASSWORD}\n", self._environment(setting))

    def logs(self) -> str:
        """The last lines that each server wrote."""
        parts = []
        for path in sorted((*self.folder.glob("*.out"), *self.folder.glob("*.log"))):
            tail = path.read_text(errors="replace").splitlines()[-6:]
            parts += [f"--- {path.name}", *tail]
        return "\n".join(parts)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own session: its helpers go with it
    for process in processes:
        process.wait()


def _table(forward: str, redirect: str = "", output: str = "") -> str:
    """An nftables table with the chains that have rules. A chain must not be called ``fwd``: that is a keyword."""
    chains = {
        "forward": ("filter hook forward priority 0", forward),
        "prerouting": ("nat hook prerouting priority dstnat", redirect),
        "output": ("filter hook output priority 0", output),
    }
    text = "".join(f"chain {name} {{ type {kind};\n{rules}\n}}\n" for name, (kind, rules) in chains.items() if rules)
    return f"table inet lab {{\n{text}}}\n" if text else ""
