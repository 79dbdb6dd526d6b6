"""The web servers of the lab as data, and the files that nginx serves them from."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from tests.lab import lab_pki

FRONTEND = "wu2.frontend.clouddatahub.net"
TLS_13 = "TLSv1.3"
TLS_12 = "TLSv1.2"


@dataclass(frozen=True)
class Site:
    """One server: a name, an address ending, and what is special about it.

    ``kind``: nginx (serves here), lab (lab_servers.py serves it), none (nobody listens).
    ``plain`` listens on port 80 too. ``certificate`` names what ``write_pki`` writes; ``answer`` is nginx's location
    block.
    """

    name: str
    host: int
    v4: bool = True
    v6: bool = False
    kind: str = "nginx"
    certificate: str = "good"
    protocols: str = f"{TLS_12} {TLS_13}"
    answer: str = 'return 200 "hello\\n";'
    extra: str = ""
    network: str = "20.42.1"
    plain: bool = False

    @property
    def address(self) -> str:
        """The IPv4 address, whether or not the name leads to it."""
        return f"{self.network}.{self.host}"

    @property
    def address6(self) -> str:
        """The IPv6 address, whether or not the name leads to it."""
        return f"2603:1030:c06::1:{self.host:x}"


_BLOCK_PAGE = (
    "<html><head><title>Web Page Blocked</title></head><body><h1>Access Denied</h1><p>The web page you have requested "
    "has been blocked because of your organization\\'s internet usage policy.</p><p>Category: cloud storage</p>"
    "</body></html>"
)

SITES: tuple[Site, ...] = (
    Site(FRONTEND, 1),
    Site("dual.contoso.test", 2, v6=True),
    Site("six.contoso.test", 3, v4=False, v6=True),
    Site("tls13.contoso.test", 4, protocols=TLS_13),
    Site("tls12.contoso.test", 5, protocols=TLS_12),
    Site("tls10.contoso.test", 6, protocols="TLSv1", extra="ssl_ciphers ALL:@SECLEVEL=0;"),
    Site("expired.contoso.test", 7, certificate="expired"),
    Site("notyet.contoso.test", 8, certificate="notyet"),
    Site("wrongname.contoso.test", 9, certificate="wrongname"),
    Site("incomplete.contoso.test", 10, certificate="incomplete"),
    Site("private.contoso.test", 11, certificate="private"),
    Site("short.contoso.test", 12, certificate="short"),
    Site("busy.contoso.test", 13, answer='return 503 "overloaded\\n";'),
    Site("moved.contoso.test", 14, answer="return 302 https://portal.contoso.test/login;"),
    Site(
        "portal.contoso.test",
        15,
        answer='return 200 "<html><title>Guest Wi-Fi: log in to this network</title></html>";',
        network="93.184.7",
    ),
    Site("blocked.contoso.test", 16, answer=f"default_type text/html; return 403 '{_BLOCK_PAGE}';"),
    Site("slow.contoso.test", 17, answer="proxy_pass http://127.0.0.1:8081/0.7/;"),
    Site("stuck.contoso.test", 18, answer="proxy_pass http://127.0.0.1:8081/30/;"),
    Site("optional-mutual.contoso.test", 19, extra="ssl_verify_client on; ssl_client_certificate {pki}/root.pem;"),
    Site("mutual.contoso.test", 20, kind="lab"),
    Site("mute.contoso.test", 21, kind="lab"),
    Site("hangup.contoso.test", 22, kind="lab"),
    Site("closed.contoso.test", 23, kind="none"),
    Site("interceptor.contoso.test", 24, certificate="replaced"),
    Site("http-on-443.contoso.test", 25, certificate=""),
    Site("deadsix.contoso.test", 26, v6=True),
    Site("loop.contoso.test", 27, answer="return 302 https://loop.contoso.test/;"),
    Site(
        "wifi.contoso.test",
        28,
        certificate="wifi",
        answer="return 302 https://portal.contoso.test/login?from=wifi;",
        network="93.184.7",
        plain=True,
    ),
)
BY_NAME = {site.name: site for site in SITES}


def server_addresses() -> tuple[str, ...]:
    """What the server namespace owns, with prefix lengths."""
    return tuple(f"{s.address}/24" for s in SITES) + tuple(f"{s.address6}/64" for s in SITES if s.v6)


def write_pki(folder: Path, now: datetime.datetime) -> None:
    """Every certificate: root.pem is what the client trusts, interceptor.pem is the replacing authority."""
    root = lab_pki.authority("Contoso Lab Root", "Contoso Trust Services")
    intermediate = lab_pki.authority("Contoso Lab Issuing CA", "Contoso Trust Services", root)
    private = lab_pki.authority("Fabrikam Internal Root", "Fabrikam")
    interceptor = lab_pki.authority("Zscaler Intermediate Root CA (zscloud.net)", "Zscaler Inc.")
    names = tuple(s.name for s in SITES)
    day = datetime.timedelta(days=1)
    past, future = (
        datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC),
        datetime.datetime(2048, 1, 1, tzinfo=datetime.UTC),
    )
    lab_pki.write(folder, "root", root)
    lab_pki.write(folder, "interceptor", interceptor)
    lab_pki.write(folder, "good", lab_pki.leaf((*names, "long.contoso.test"), intermediate), intermediate)
    lab_pki.write(folder, "proxy", lab_pki.leaf(("proxy.contoso.test",), intermediate), intermediate)
    lab_pki.write(folder, "wifi", lab_pki.leaf(("wifi.contoso.test",), private), private)
    lab_pki.write(folder, "expired", lab_pki.leaf(("expired.contoso.test",), intermediate, end=past), intermediate)
    lab_pki.write(folder, "notyet", lab_pki.leaf(("notyet.contoso.test",), intermediate, start=future), intermediate)
    lab_pki.write(folder, "wrongname", lab_pki.leaf(("other.contoso.test",), intermediate), intermediate)
    lab_pki.write(folder, "incomplete", lab_pki.leaf(("incomplete.contoso.test",), intermediate))
    lab_pki.write(folder, "private", lab_pki.leaf(("private.contoso.test",), private), private)
    lab_pki.write(folder, "replaced", lab_pki.leaf((FRONTEND,), interceptor), interceptor)
    half = day / 2
    soon = now + datetime.timedelta(hours=1)
    tonight = soon - (soon - lab_pki.START) % half + half  # noon or midnight, one hour from now at least, a day at most
    lab_pki.write(folder, "short", lab_pki.leaf(("short.contoso.test",), intermediate, end=tonight), intermediate)


def nginx_conf(folder: Path) -> str:
    """The web servers' configuration."""
    servers = "\n".join(_server(site, folder) for site in SITES if site.kind == "nginx")
    return http_conf(folder, "web", servers)


def plain_nginx_conf(folder: Path, listen: str) -> str:
    """A web server without TLS, to be mistaken for a proxy."""
    return http_conf(folder, "plain", f'server {{ listen {listen}; location / {{ return 200 "web\\n"; }} }}')


def http_conf(folder: Path, name: str, servers: str) -> str:
    """nginx's configuration with these server blocks; ``name`` tells its files from those of another nginx."""
    temp = "\n".join(
        f"{kind}_temp_path {folder}/nginx-{name}-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; master_process off; pid {folder}/nginx-{name}.pid; error_log {folder}/nginx-{name}.log;\n"
        f"events {{ worker_connections 512; }}\nhttp {{ access_log off; {temp}\n{servers}\n}}\n"
    )


def _server(site: Site, folder: Path) -> str:
    secure = " ssl" if site.certificate else ""
    listen = f"listen {site.address}:443{secure};" + (f" listen [{site.address6}]:443{secure};" if site.v6 else "")
    listen += f" listen {site.address}:80;" if site.plain else ""
    tls = (
        f"ssl_certificate {folder}/{site.certificate}.pem; ssl_certificate_key {folder}/{site.certificate}.key; "
        f"ssl_protocols {site.protocols};"
        if site.certificate
        else ""
    )
    extra = site.extra.replace("{pki}", str(folder))
    return f"server {{ {listen} server_name {site.name}; {tls} {extra} location / {{ {site.answer} }} }}"
