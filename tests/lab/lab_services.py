"""Configuration of the lab's name servers, proxies and KDC, as text. No process is started here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab_sites import BY_NAME, FRONTEND, SITES, Site

PROXY = "10.10.5.2"
PROXY_NAME = "proxy.contoso.test"
KDC = "10.10.5.88"
REALM = "CONTOSO.TEST"
USER, PASSWORD = "alice", "correct-horse"
#: Ports of the SOCKS5 proxies at ``PROXY``: one takes everybody, the other only USER with PASSWORD.
SOCKS, SOCKS_PASSWORD = 1080, 1081

#: Where lab_certificate_servers.py serves, in the server's network.
CERTIFICATES = "20.42.1.200"
#: Where the nodes of test_node.py listen.
NODE = "20.42.1.210"

LIB = Path("/usr/lib/squid")
#: Only Debian's package squid-openssl has it, and only that squid intercepts, or takes connections over TLS.
CERTGEN = LIB / "security_file_certgen"

#: The honest name server, one with other answers, an address of the DNS machine where nobody listens, and one that
#: nobody has.
DNS_GOOD_V6 = "fd10:4::53"
DNS_GOOD, DNS_OTHER, DNS_CLOSED, DNS_DEAD = "10.10.4.53", "10.10.4.54", "10.10.4.56", "10.10.4.99"


#: The frontend goes through the open squid, everything else directly.
PAC = f"""function FindProxyForURL(url, host) {{
  return dnsDomainIs(host, ".clouddatahub.net") ? "PROXY {PROXY}:3128" : "DIRECT";
}}
"""


@dataclass(frozen=True)
class Squid:
    """One squid: its port and what its configuration adds."""

    name: str
    port: int
    rules: str = ""
    listen: str = ""
    directive: str = "http_port"
    needs_tls: bool = False


def squids(folder: Path) -> tuple[Squid, ...]:
    """Every squid that this machine's build can be.

    ``folder`` holds the password files, the keytab and the interceptor's authority.
    """
    bump = (
        f"ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB "
        f"tls-cert={folder}/interceptor.pem tls-key={folder}/interceptor.key"
    )
    bump_rules = (
        f"sslcrtd_program {LIB}/security_file_certgen -s {folder}/certgen -M 4MB\nsslcrtd_children 1\n"
        f"ssl_bump bump all\ntls_outgoing_options cafile={folder}/root.pem\n"
    )
    every = (
        Squid("open", 3128),
        Squid("basic", 3129, _auth("basic", f"{LIB}/basic_ncsa_auth {folder}/basic.passwd")),
        Squid("digest", 3130, _auth("digest", f"{LIB}/digest_file_auth {folder}/digest.passwd")),
        Squid("ntlm", 3131, _auth("ntlm", f"{LIB}/ntlm_fake_auth")),
        Squid(
            "negotiate",
            3132,
            _auth(
                "negotiate", f"{LIB}/negotiate_kerberos_auth -k {folder}/http.keytab -s HTTP/{PROXY_NAME}@{REALM}", ""
            ),
        ),
        Squid("bump", 3133, bump_rules, bump, needs_tls=True),
        Squid("tls", 3134, "", f"tls-cert={folder}/proxy.pem tls-key={folder}/proxy.key", "https_port", needs_tls=True),
    )
    return tuple(squid for squid in every if CERTGEN.exists() or not squid.needs_tls)


def _auth(scheme: str, program: str, realm: str = "Contoso proxy") -> str:
    lines = [f"auth_param {scheme} program {program}", f"auth_param {scheme} children 2 startup=1 idle=1"]
    if scheme in ("basic", "digest"):
        lines.append(f"auth_param {scheme} realm {realm}")
    return "\n".join([*lines, "acl authenticated proxy_auth REQUIRED", "http_access deny !authenticated", ""])


def squid_conf(squid: Squid, folder: Path) -> str:
    """The configuration of one squid. It forbids blocked.contoso.test and gives up on a dead server after a second."""
    return f"""
{squid.directive} {PROXY}:{squid.port} {squid.listen}
visible_hostname {PROXY_NAME}
cache_effective_user proxy
pid_filename none
access_log none
cache_store_log none
cache_log {folder}/squid-{squid.name}.log
cache deny all
cache_mem 4 MB
memory_pools off
coredump_dir none
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
dns_nameservers {DNS_GOOD}
dns_timeout 1 second
hosts_file {folder}/hosts.squid
connect_timeout 1 second
connect_retries 0
forward_timeout 2 seconds
forward_max_tries 1
acl blocked dstdomain blocked.contoso.test
http_access deny blocked
{squid.rules}http_access allow all
"""


def socks_commands() -> tuple[tuple[str, ...], ...]:
    """The command line of each SOCKS5 proxy."""
    return tuple(
        ("microsocks", "-i", PROXY, "-p", str(port), *login)
        for port, login in ((SOCKS, ()), (SOCKS_PASSWORD, ("-u", USER, "-P", PASSWORD)))
    )


def named_conf(folder: Path, name: str, address: str, address6: str = "none") -> str:
    """A name server: it serves the zones below as the whole of the world, and answers as a recursive server does.

    servfail.test is configured, but its file is missing (SERVFAIL); refused.test may be asked by nobody (REFUSED).
    """
    return f"""
options {{
  directory "{folder}"; listen-on {{ {address}; }}; listen-on-v6 {{ {address6}; }}; pid-file none;
  session-keyfile none; managed-keys-directory "{folder}"; recursion yes; allow-query {{ any; }};
  allow-recursion {{ any; }}; dnssec-validation no; notify no; minimal-responses yes; empty-zones-enable no;
  max-udp-size 512;
}};
controls {{ }};
zone "." {{ type primary; file "root.zone"; }};
zone "contoso.test" {{ type primary; file "contoso.zone"; }};
zone "clouddatahub.net" {{ type primary; file "clouddatahub-{name}.zone"; }};
zone "servfail.test" {{ type primary; file "missing.zone"; }};
zone "refused.test" {{ type primary; file "root.zone"; allow-query {{ none; }}; }};
"""


def zones() -> dict[str, str]:
    """Zone files by name. The other server sends the frontend to the portal; empty.contoso.test has only text."""
    soa = "$TTL 300\n@ IN SOA ns.contoso.test. admin.contoso.test. 1 3600 600 86400 60\n@ IN NS ns.contoso.test.\n"
    names = "".join(_records(s) for s in SITES if s.name.endswith(".contoso.test"))
    chain = "".join(f"{_long(n)} IN CNAME {_long(n + 1)}\n" for n in range(6))
    contoso = (
        f"{soa}{names}ns IN A {DNS_GOOD}\nproxy IN A {PROXY}\nkdc IN A {KDC}\nempty IN TXT no-address\n"
        f"internal IN A {PROXY}\n"
        f"long IN CNAME {_long(0)}\n{chain}{_long(6)} IN A {BY_NAME['dual.contoso.test'].address}\n"
        f"sinkhole IN A 0.0.0.0\n"
        f"certs IN A {CERTIFICATES}\nocsp IN A {CERTIFICATES}\nldap IN A {CERTIFICATES}\n"
        f"node-b IN A {NODE}\n"
    )
    label = FRONTEND.removesuffix(".clouddatahub.net")
    return {
        "root.zone": soa + f"ns.contoso.test. IN A {DNS_GOOD}\n",
        "contoso.zone": contoso,
        "clouddatahub-good.zone": f"{soa}{label} IN A {BY_NAME[FRONTEND].address}\n",
        "clouddatahub-other.zone": f"{soa}{label} IN A {BY_NAME['portal.contoso.test'].address}\n",
    }


def _long(number: int) -> str:
    """A name so long that a chain of them does not fit into 512 bytes (RFC 1035 §4.2.1)."""
    return f"hop{number}-{'x' * 50}.{'y' * 60}.cdn"


def _records(site: Site) -> str:
    label = site.name.removesuffix(".contoso.test")
    lines = [f"{label} IN A {site.address}\n"] if site.v4 else []
    return "".join(lines + ([f"{label} IN AAAA {site.address6}\n"] if site.v6 else []))


def krb5_conf(folder: Path) -> str:
    """For the KDC, squid and the client alike."""
    return f"""
[libdefaults]
 default_realm = {REALM}
 dns_lookup_realm = false
 dns_lookup_kdc = false
 rdns = false
 udp_preference_limit = 1
 dns_canonicalize_hostname = false
 default_ccache_name = FILE:{folder}/ccache
[realms]
 {REALM} = {{
  kdc = {KDC}:88
 }}
[domain_realm]
 .contoso.test = {REALM}
"""


def kdc_conf(folder: Path) -> str:
    """The KDC's own configuration."""
    return f"""
[kdcdefaults]
 kdc_listen = {KDC}:88
 kdc_tcp_listen = {KDC}:88
[realms]
 {REALM} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/kadm5.acl
  kdc_listen = {KDC}:88
  kdc_tcp_listen = {KDC}:88
 }}
[logging]
 kdc = FILE:{folder}/kdc.log
"""
