"""What a certificate authority publishes, on real servers in the lab's network: AIA and CRLs (nginx, slapd), OCSP.

    with CertificateServers(lab) as servers:
        leaf = servers.issue("good.contoso.test")            # names every URL below
        other = servers.issue("x.contoso.test", cdp=("http://blocked.contoso.test/issuing.crl",))
        lab.file("leaf.pem").write_bytes(leaf.pem)
        lab.run(Setting(), ["cert", str(lab.file("leaf.pem")), ...])

Everything listens on one address of the namespace "server":

    http://certs.contoso.test/NAME      nginx: root.crt and issuing.crt (DER), issuing.pem, issuing.p7c, root.crl,
                                        issuing.crl, delta.crl, withdrawn.crl; what is no good: expired.crl,
                                        forged.crl (signed with another key), cut.crl; what misbehaves: ``WEB``, "huge";
                                        and the URLs of ``REFUSALS``, to which OCSP requests go by GET
    http://certs.contoso.test:81/       nobody; 8081 answers without an end, 8082 never
    http://ocsp.contoso.test:2560/      openssl ocsp, by GET and POST, for every certificate of the issuing authority;
                                        at 2561 another one, whose clock stands still at ``LONG_AGO``
    ldap://ldap.contoso.test/DN         slapd, anonymous, also ldaps: ``CA_DN`` has cACertificate,
                                        certificateRevocationList and deltaRevocationList; ``SEVERAL_DN`` has two
                                        certificates; ``REFERRAL_DN`` refers elsewhere

Names are in the lab's DNS. To go through a proxy, use the lab's squids (lab_services.squids): the one on port 3128 is
open and answers 403 for blocked.contoso.test, the one on 3129 wants USER and PASSWORD by Basic.

Contract: processes are ended by their ids, at ``close`` or with the lab; files are in the lab's folder. Serial numbers
and keys come from names, as in lab_pki: issue two certificates under two names. Only CRLs, OCSP answers and TLS carry
the present time.
"""

from __future__ import annotations

import base64
import datetime
import functools
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lab_pki
import lab_sites
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from lab_pki import Identity
from lab_services import CERTIFICATES
from lab_topology import run
from lab_world import Lab

WEB_NAME, OCSP_NAME, LDAP_NAME = "certs.contoso.test", "ocsp.contoso.test", "ldap.contoso.test"
OCSP_PORT = 2560
OCSP_URL = f"http://{OCSP_NAME}:{OCSP_PORT}/"
STALE_OCSP_PORT = 2561
STALE_OCSP_URL = f"http://{OCSP_NAME}:{STALE_OCSP_PORT}/"
#: Nobody listens there; an answer has no end; nothing is answered.
DEAD, ENDLESS, MUTE = (f"http://{WEB_NAME}:{port}/issuing.crl" for port in (81, 8081, 8082))
#: When what is stale was made: fixed, so that every run tells the same.
LONG_AGO = datetime.datetime(2025, 6, 1, 12, tzinfo=datetime.UTC)
SUFFIX = "dc=contoso,dc=test"
CA_DN = f"cn=Contoso Online CA,{SUFFIX}"
SEVERAL_DN = f"cn=Several,{SUFFIX}"
REFERRAL_DN = f"cn=Elsewhere,{SUFFIX}"

#: Programs that this needs besides the lab's.
TOOLS = ("slapd", "slapadd")
#: Where Debian's slapd keeps what its configuration refers to.
HELPERS = (Path("/etc/ldap/schema/core.schema"), Path("/usr/lib/ldap/back_mdb.so"))

#: nginx's locations besides the files. "huge" is a file of 2 GB, of zeros; "slow" sends 1 KiB a second.
WEB = {
    "/gone": "return 404;",
    "/broken": "return 503;",
    "/moved": f"return 302 http://{WEB_NAME}/issuing.crl;",
    "/loop": "return 302 /loop;",
    "/to-file": "return 302 file:///etc/passwd;",
    "/page": 'default_type text/html; return 200 "<html><title>Welcome</title></html>";',
    "/slow": "alias {folder}/www/long; limit_rate 1k;",
}
#: Unsigned answers of OCSP (RFC 6960 §4.2.1), by the names of the URLs that give them to any request.
REFUSALS = {"try-later": b"\x30\x03\x0a\x01\x03", "unauthorized": b"\x30\x03\x0a\x01\x06"}
_LIFETIME = datetime.timedelta(days=7)


def http(name: str) -> str:
    """The URL of a file or location of the web server."""
    return f"http://{WEB_NAME}/{name}"


def ldap(dn: str, attribute: str, scheme: str = "ldap") -> str:
    """The URL of an attribute in the directory (RFC 4516)."""
    return f"{scheme}://{LDAP_NAME}/{dn.replace(' ', '%20')}?{attribute};binary?base?(objectClass=*)"


#: What a certificate of the issuing authority names unless it is told otherwise.
AIA = (http("issuing.crt"), ldap(CA_DN, "cACertificate"))
CDP = (http("issuing.crl"), ldap(CA_DN, "certificateRevocationList"))
FRESHEST = (http("delta.crl"), ldap(CA_DN, "deltaRevocationList"))


class CertificateServers:
    """Built by ``open``, ended by ``close``, or used in a ``with`` statement. Only one at a time in a lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ocsp: subprocess.Popen[bytes] | None = None
        self.root = lab_pki.authority("Contoso Online Root", "Contoso Trust Services")
        self.issuing = lab_pki.authority(
            "Contoso Online CA",
            "Contoso Trust Services",
            self.root,
            urls(aia=(http("root.crt"),), cdp=(http("root.crl"),)),
        )
        #: An authority that its root has revoked since.
        self.withdrawn = lab_pki.authority(
            "Contoso Withdrawn CA",
            "Contoso Trust Services",
            self.root,
            urls(aia=(http("root.crt"),), cdp=(http("root.crl"),)),
        )
        self._issued: list[Identity] = []
        self._listed: dict[str, dict[Identity, x509.ReasonFlags]] = {
            "root.crl": {self.withdrawn: x509.ReasonFlags.ca_compromise}
        }
        #: Revoked in the CRL; in the delta CRL alone; both by OCSP, which says good of every other that was issued.
        compromised = x509.ReasonFlags.key_compromise
        self.revoked = self.issue("revoked.contoso.test", listed={"issuing.crl": compromised, "ocsp": compromised})
        self.revoked_lately = self.issue(
            "revoked-lately.contoso.test", listed={"delta.crl": compromised, "ocsp": compromised}
        )

    def issue(
        self,
        name: str,
        *,
        aia: Sequence[str] = AIA,
        cdp: Sequence[str] = CDP,
        freshest: Sequence[str] = FRESHEST,
        ocsp: Sequence[str] = (OCSP_URL,),
        issuer: Identity | None = None,
        listed: Mapping[str, x509.ReasonFlags] | None = None,
        **options: Any,
    ) -> Identity:
        """A server's certificate that names these URLs; ``options`` as for ``lab_pki.leaf``. May be called at any time.

        ``listed`` tells where it is revoked, and why: in a list by its file's name, or by "ocsp". Lists are made when
        the servers are opened.
        """
        found = urls(aia=aia, cdp=cdp, freshest=freshest, ocsp=ocsp)
        self._issued.append(lab_pki.leaf((name,), issuer or self.issuing, urls=found, **options))
        for where, reason in (listed or {}).items():
            self._listed.setdefault(where, {})[self._issued[-1]] = reason
        if self._ocsp:  # it looks at its index before it waits, so the next answer would still come from the old one
            self._lab.stop(self._ocsp)
            self._processes.remove(self._ocsp)
            self._responder()
        return self._issued[-1]

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def open(self) -> None:
        """Everything up and accepting connections."""
        run(self._lab.network.inside("server", ["ip", "addr", "add", f"{CERTIFICATES}/24", "dev", "firewall"]))
        try:
            self._web()
            self._responder()
            self._stale_responder()
            self._directory()
            roles = (f"endless,{CERTIFICATES},8081", f"mute,{CERTIFICATES},8082")
            self._start(sys.executable, str(Path(__file__).with_name("lab_servers.py")), *roles)
            self._lab.ready("server", [(CERTIFICATES, port) for port in (80, 389, 636, 8081, 8082)])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the servers and give their address back."""
        while self._processes:
            self._lab.stop(self._processes.pop())
        self._ocsp = None
        run(self._lab.network.inside("server", ["ip", "addr", "del", f"{CERTIFICATES}/24", "dev", "firewall"]))

    def _start(self, *argv: str, **environment: str) -> subprocess.Popen[bytes]:
        self._processes.append(self._lab.start("server", list(argv), **environment))
        return self._processes[-1]

    # -- nginx

    def _web(self) -> None:
        folder = self._lab.folder
        www = folder / "www"
        www.mkdir(exist_ok=True)
        for name, content in self.files.items():
            (www / name).write_bytes(content)
        for name, size in (("huge", 2 << 30), ("long", 1 << 20)):
            with (www / name).open("wb") as file:
                file.truncate(size)  # sparse: it takes no room
        locations = "\n".join(
            f"location = {path} {{ {rule.replace('{folder}', str(folder))} }}" for path, rule in WEB.items()
        )
        locations += (
            f"\nlocation ~ ^/({'|'.join(REFUSALS)})/ {{ default_type application/ocsp-response; alias {www}/$1.ocsp; }}"
        )
        server = f"server {{ listen {CERTIFICATES}:80; root {www}; {locations} }}"
        self._lab.file("certs.conf").write_text(lab_sites.http_conf(folder, "certs", server))
        self._start("nginx", "-c", str(self._lab.file("certs.conf")))

    @functools.cached_property
    def files(self) -> dict[str, bytes]:
        """What the web server has, by name."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        issuing = self.issuing.certificate
        return {
            "root.crt": self.root.certificate.public_bytes(Encoding.DER),
            "issuing.crt": issuing.public_bytes(Encoding.DER),
            "issuing.pem": self.issuing.pem,
            "issuing.p7c": pkcs7.serialize_certificates([issuing, self.root.certificate], Encoding.DER),
            "root.crl": crl(self.root, 1, self._in("root.crl"), now),
            "issuing.crl": (whole := crl(self.issuing, 5, self._in("issuing.crl"), now)),
            "delta.crl": crl(self.issuing, 6, self._in("delta.crl"), now, base=5),
            "withdrawn.crl": crl(self.withdrawn, 3, {}, now),
            "expired.crl": crl(self.issuing, 4, {}, LONG_AGO),
            "forged.crl": crl(Identity(issuing, self.withdrawn.key), 5, {}, now),
            "cut.crl": whole[: len(whole) // 2],
            **{f"{name}.ocsp": answer for name, answer in REFUSALS.items()},
        }

    def _in(self, name: str) -> Mapping[Identity, x509.ReasonFlags]:
        """The certificates on a list, and why they are."""
        return self._listed.get(name, {})

    # -- openssl ocsp

    def _responder(self) -> None:
        responder = lab_pki.leaf(
            ("Contoso OCSP",), self.issuing, usage=ExtendedKeyUsageOID.OCSP_SIGNING, urls=(x509.OCSPNoCheck(),)
        )
        lab_pki.write(self._lab.folder, "responder", responder)
        self._lab.file("online-ca.pem").write_bytes(self.issuing.pem)
        self._write_index()
        self._lab.file("index.txt.attr").write_text("unique_subject = no\n")
        self._ocsp = self._start(*self._openssl_ocsp(OCSP_PORT))
        # One connection that brings no request keeps openssl from ever taking another.
        self._lab.ready("server", [(CERTIFICATES, OCSP_PORT)], "listens")

    def _stale_responder(self) -> None:
        """One that gives answers of ``LONG_AGO``."""
        self._start("faketime", "-f", f"{LONG_AGO:%Y-%m-%d %H:%M:%S}", *self._openssl_ocsp(STALE_OCSP_PORT), TZ="UTC")
        self._lab.ready("server", [(CERTIFICATES, STALE_OCSP_PORT)], "listens")

    def _openssl_ocsp(self, port: int) -> tuple[str, ...]:
        return (
            *("openssl", "ocsp", "-port", str(port), "-ignore_err", "-ndays", "1"),
            *("-index", str(self._lab.file("index.txt")), "-CA", str(self._lab.file("online-ca.pem"))),
            *("-rsigner", str(self._lab.file("responder.pem")), "-rkey", str(self._lab.file("responder.key"))),
        )

    def _write_index(self) -> None:
        """What openssl knows, as ca(1) keeps it: status, end, revocation and reason, serial number, file, subject."""
        lines = []
        for identity in self._issued:
            reason = self._in("ocsp").get(identity)
            state = ("R", "490101000000Z", f"250101000000Z,{reason.value}") if reason else ("V", "490101000000Z", "")
            lines.append("\t".join((*state, _serial(identity), "unknown", "/CN=x")))
        self._lab.file("index.txt").write_text("\n".join([*lines, ""]))

    # -- slapd

    def _directory(self) -> None:
        folder = self._lab.folder
        root = lab_pki.authority("Contoso Lab Root", "Contoso Trust Services")  # as lab_sites.write_pki makes them
        intermediate = lab_pki.authority("Contoso Lab Issuing CA", "Contoso Trust Services", root)
        lab_pki.write(folder, "ldap", lab_pki.leaf((LDAP_NAME,), intermediate), intermediate)
        data = folder / "slapd"
        data.mkdir(exist_ok=True)
        for old in data.iterdir():
            old.unlink()
        configuration, entries = self._lab.file("slapd.conf"), self._lab.file("slapd.ldif")
        configuration.write_text(
            f"include {HELPERS[0]}\nmodulepath {HELPERS[1].parent}\nmoduleload back_mdb\n"
            f"pidfile {folder}/slapd.pid\nargsfile {folder}/slapd.args\n"
            f"TLSCertificateFile {folder}/ldap.pem\nTLSCertificateKeyFile {folder}/ldap.key\n"
            f'database mdb\nsuffix "{SUFFIX}"\ndirectory {data}\nmaxsize 16777216\naccess to * by * read\n'
        )
        entries.write_text(self._ldif())
        run(["slapadd", "-f", str(configuration), "-l", str(entries), "-q"])
        listen = f"ldap://{CERTIFICATES}/ ldaps://{CERTIFICATES}/"
        self._start("slapd", "-d", "0", "-f", str(configuration), "-h", listen)  # -d keeps it in the foreground

    def _ldif(self) -> str:
        """The directory (RFC 2849); the classes are those of RFC 4523 §5."""
        files = self.files
        certificate = ("cACertificate", files["issuing.crt"])
        crls = (("certificateRevocationList", files["issuing.crl"]), ("deltaRevocationList", files["delta.crl"]))
        top = f"dn: {SUFFIX}\nobjectClass: organization\nobjectClass: dcObject\no: Contoso\ndc: contoso\n"
        referral = f"dn: {REFERRAL_DN}\nobjectClass: referral\nobjectClass: extensibleObject\ncn: Elsewhere\n"
        referral += f"ref: ldap://elsewhere.contoso.test/{REFERRAL_DN}\n"
        several = _entry(SEVERAL_DN, certificate, ("cACertificate", files["root.crt"]))
        return "\n".join((top, _entry(CA_DN, certificate, *crls), several, referral))


def urls(
    *, aia: Sequence[str] = (), cdp: Sequence[str] = (), freshest: Sequence[str] = (), ocsp: Sequence[str] = ()
) -> tuple[x509.ExtensionType, ...]:
    """The extensions that name these URLs (RFC 5280 §4.2.1.13, §4.2.1.15, §4.2.2.1)."""
    method = AuthorityInformationAccessOID
    access = [x509.AccessDescription(method.CA_ISSUERS, x509.UniformResourceIdentifier(url)) for url in aia]
    access += [x509.AccessDescription(method.OCSP, x509.UniformResourceIdentifier(url)) for url in ocsp]
    return (
        *([x509.AuthorityInformationAccess(access)] if access else []),
        *([x509.CRLDistributionPoints([_point(url) for url in cdp])] if cdp else []),
        *([x509.FreshestCRL([_point(url) for url in freshest])] if freshest else []),
    )


def crl(
    issuer: Identity,
    number: int,
    revoked: Mapping[Identity, x509.ReasonFlags],
    now: datetime.datetime,
    base: int | None = None,
) -> bytes:
    """A CRL in DER, a delta CRL when ``base`` is the number of the one that it adds to."""
    key = issuer.key.public_key()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + _LIFETIME)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key), critical=False)
    )
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    for identity, reason in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(identity.certificate.serial_number)
        entry = entry.revocation_date(lab_pki.START)
        entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _serial(identity: Identity) -> str:
    """The serial number as openssl's index has it: upper-case hexadecimal, whole bytes."""
    text = f"{identity.certificate.serial_number:X}"
    return text.zfill(len(text) + len(text) % 2)


def _entry(dn: str, *values: tuple[str, bytes]) -> str:
    common_name = dn.partition(",")[0].removeprefix("cn=")
    lines = [f"dn: {dn}", *(f"objectClass: {kind}" for kind in ("applicationProcess", "pkiCA", "deltaCRL"))]
    lines += [f"cn: {common_name}", *(f"{name};binary:: {base64.b64encode(value).decode()}" for name, value in values)]
    return "\n".join([*lines, ""])
