"""The certificate engine beside cryptography's own verifier, its command beside a bare import, and a hostile graph.

Every certificate that is verified is another one: nothing is answered from what was remembered of an earlier call, but
for the intermediate and the root, which real callers see again and again; one row makes the engine forget those too.
"""

from __future__ import annotations

import datetime
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from bench.run import NETDIAG, timed
from bench.table import Row

CHAINS = 200
#: Rounds of all chains, engine and peer in turns.
ROUNDS = 5
RUNS = 21
ENGINE_LIMIT, COMMAND_LIMIT = 10.0, 3.0
#: Certificate authorities of one name that sign each other, and the seconds that a search among them may take.
HOSTILE, HOSTILE_S = 300, 1.0

AT = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
Key = ec.EllipticCurvePrivateKey


def rows() -> Iterator[Row]:
    """One row for each limit."""
    yield from _engine()
    yield _command()
    yield _hostile()


def _engine() -> Iterator[Row]:
    from netdiag.pki import facts
    from netdiag.pki.api import verify_certificate

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = issue("Bench Root", keys[0], "Bench Root", keys[0], ca=True)
    sub = issue("Bench Issuing CA", keys[1], "Bench Root", keys[0], ca=True)
    hosts = [f"host{number}.example.com" for number in range(CHAINS)]
    leaves = [issue(host, keys[2], "Bench Issuing CA", keys[1]) for host in hosts]

    def ours(host: str, leaf: bytes) -> None:
        found = verify_certificate(
            leaf, untrusted=[sub], trust=[root], hostname=host, at=AT, profile="webpki", purpose="server"
        )
        if not found.trusted:
            raise SystemExit(f"netdiag does not trust the bench's chain: {found.faults}")

    def cold(host: str, leaf: bytes) -> None:
        facts.read.cache_clear()
        facts.signed_by.cache_clear()
        ours(host, leaf)

    def new(host: str, leaf: bytes) -> None:
        ours(host, leaf)

    def peer(host: str, leaf: bytes) -> None:
        store = Store([x509.load_der_x509_certificate(root)])
        verifier = PolicyBuilder().store(store).time(AT).build_server_verifier(x509.DNSName(host))
        verifier.verify(x509.load_der_x509_certificate(leaf), [x509.load_der_x509_certificate(sub)])

    taken: dict[str, list[float]] = {"new": [], "cold": [], "peer": []}
    for _ in range(ROUNDS):
        taken["peer"].append(_each(peer, hosts, leaves))
        taken["cold"].append(_each(cold, hosts, leaves))
        facts.read.cache_clear()
        facts.signed_by.cache_clear()
        taken["new"].append(_each(new, hosts, leaves))
    median = {name: 1e6 * statistics.median(times) for name, times in taken.items()}
    who = "cryptography's verifier"
    yield Row(
        what="a chain of three, new leaf",
        measured=median["new"],
        peer=median["peer"],
        peer_is=who,
        unit="µs",
        limit=ENGINE_LIMIT,
    )
    yield Row(
        what="a chain of three, all new",
        measured=median["cold"],
        peer=median["peer"],
        peer_is=who,
        unit="µs",
        limit=ENGINE_LIMIT,
    )


def _each(verify: Callable[[str, bytes], None], hosts: Sequence[str], leaves: Sequence[bytes]) -> float:
    start = time.perf_counter()
    for host, leaf in zip(hosts, leaves, strict=True):
        verify(host, leaf)
    return (time.perf_counter() - start) / len(hosts)


def _command() -> Row:
    key = ec.generate_private_key(ec.SECP256R1())
    with tempfile.TemporaryDirectory(prefix="netdiag-bench-") as folder:
        path, root = Path(folder) / "leaf.crt", Path(folder) / "root.crt"
        root.write_bytes(issue("Bench Root", key, "Bench Root", key, ca=True))
        path.write_bytes(issue("host.example.com", key, "Bench Root", key))
        command = [NETDIAG, "cert", str(path), "--no-fetch", "--trust", str(root), "--at", "2026-06-01"]
        ours, bare = [], []
        for _ in range(RUNS):
            bare.append(timed([sys.executable, "-c", "import cryptography.x509"]).seconds)
            ours.append(timed(command))
    if failed := [run for run in ours if run.status != 0]:
        raise SystemExit(f"netdiag cert failed:\n{failed[0].output}{failed[0].errors}")
    return Row(
        what="netdiag cert FILE --no-fetch",
        measured=1000 * statistics.median(run.seconds for run in ours),
        peer=1000 * statistics.median(bare),
        peer_is="python -c 'import cryptography.x509'",
        unit="ms",
        limit=COMMAND_LIMIT,
    )


def _hostile() -> Row:
    """Authorities of one name, a key each, every one signed by another; none leads to a root."""
    from netdiag.pki.api import verify_certificate

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(HOSTILE)]
    web = [
        issue("Hydra", keys[i], "Hydra", keys[(7 * i + 1) % HOSTILE], ca=True, key_ids=False) for i in range(HOSTILE)
    ]
    leaf = issue("host.example.com", keys[0], "Hydra", keys[0], key_ids=False)
    start = time.perf_counter()
    found = verify_certificate(leaf, untrusted=web, trust=[], at=AT)
    took = time.perf_counter() - start
    if found.trusted or not found.exhausted:
        raise SystemExit("the hostile graph did not exhaust the search")
    return Row(what=f"{HOSTILE} authorities of one name", measured=took, peer=HOSTILE_S, peer_is="a second", limit=1.0)


def issue(name: str, key: Key, issuer: str, signer: Key, *, ca: bool = False, key_ids: bool = True) -> bytes:
    """A certificate, DER."""

    def called(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(called(name))
        .issuer_name(called(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT - 30 * DAY)
        .not_valid_after(AT + 60 * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca, key_cert_sign=ca, encipher_only=False, decipher_only=False, **usage
            ),
            critical=True,
        )
    )
    if key_ids:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        if issuer != name:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
            builder = builder.add_extension(identifier, critical=False)
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
