"""Reports on certificate files, by hand."""

from __future__ import annotations

from typing import Any

import msgspec

from netdiag.model import (
    AnyObservation,
    CertificatePath,
    CertificateSummary,
    ChainFault,
    ChainObservation,
    Culprit,
    ElementRevocation,
    Failure,
    Finding,
    KeyObservation,
    NotRun,
    RejectedIssuer,
    Report,
    RetrievalObservation,
    Severity,
    Target,
    Tool,
    Verdict,
)
from tests.unit.report.handmade import AT, DAY, certificate, verdict_of

NAME, PKI = "sql01.corp.example", "pki.corp.example"
ROOT = certificate(
    "CN=Contoso Root CA,O=Contoso",
    "CN=Contoso Root CA,O=Contoso",
    serial="01",
    is_ca=True,
    not_after=AT + 4000 * DAY,
    key="RSA 4096",
    signature_algorithm="sha256WithRSAEncryption",
)
ISSUING = certificate(
    "CN=Contoso Issuing CA 1,O=Contoso",
    ROOT.subject,
    serial="1B",
    is_ca=True,
    path_length=0,
    not_after=AT + 1200 * DAY,
    key="RSA 4096",
    signature_algorithm="sha256WithRSAEncryption",
    aia=(f"http://{PKI}/aia/contoso-root.crt",),
    cdp=(f"http://{PKI}/crl/contoso-root.crl",),
)
LEAF = certificate(
    f"CN={NAME},O=Contoso",
    ISSUING.subject,
    serial="61000000022F",
    not_after=AT + 59.5 * DAY,
    signature_algorithm="sha256WithRSAEncryption",
    names=(NAME, "sql01", "sql.corp.example", "reports.corp.example"),
    key_usage=("digitalSignature", "keyEncipherment"),
    extended_key_usage=("serverAuth",),
    aia=(f"http://{PKI}/aia/contoso-issuing-1.crt",),
    cdp=(f"http://{PKI}/crl/contoso-issuing-1.crl",),
    ocsp=(f"http://ocsp.{PKI}/",),
)
#: As Active Directory Certificate Services writes it into every certificate.
LDAP = (
    "ldap:///CN=Contoso%20Issuing%20CA%201,CN=CDP,CN=Public%20Key%20Services,CN=Services,CN=Configuration,"
    "DC=corp,DC=example?certificateRevocationList?base?objectClass=cRLDistributionPoint"
)


def fault(
    kind: str, element: int, subject: CertificateSummary, detail: str, flag: str, status: int, result: str, **more
):
    values: dict[str, Any] = {
        "kind": kind,
        "element": element,
        "subject": subject.subject,
        "detail": detail,
        "status_flag": flag,
        "status": status,
        "hresult": result,
        "certificate": subject.sha256,
    }
    return ChainFault(**{**values, **more})


def path(elements: tuple[CertificateSummary, ...], end: str = "anchor", **changes: Any) -> CertificatePath:
    sources = (*("given",) * (len(elements) - 1), "store" if end == "anchor" else "given")
    values: dict[str, Any] = {"elements": elements, "sources": sources, "end": end, "trusted": end == "anchor"}
    return CertificatePath(**{**values, **changes})


def good(element: int, subject: CertificateSummary, source: str) -> ElementRevocation:
    return ElementRevocation(
        element=element, subject=subject.subject, state="good", source=source, next_update=AT + 5 * DAY
    )


def chain(**changes: Any) -> ChainObservation:
    best = path((LEAF, ISSUING, ROOT), sources=("given", LEAF.aia[0], "store"))
    values: dict[str, Any] = {
        "id": "chain",
        "source": "file",
        "host": NAME,
        "elements": best.elements,
        "stores": ("system /etc/ssl/certs/ca-certificates.crt",),
        "store_size": 141,
        "at": AT,
        "profile": "windows",
        "paths": (best,),
        "chosen": "the only path",
        "revocation": (good(0, LEAF, "OCSP"), good(1, ISSUING, "CRL 1a2b")),
    }
    return ChainObservation(**{**values, **changes})


def url(purpose: str, element: int, place: str, status: str = "verified", **changes: Any) -> RetrievalObservation:
    values: dict[str, Any] = {
        "id": f"retrieval.{purpose}.{element}",
        "parent": "chain",
        "source": "probe",
        "url": place,
        "purpose": purpose,
        "element": element,
        "subject": (LEAF, ISSUING, ROOT)[min(element, 2)].subject,
        "status": status,
        "method": "GET",
        "http_status": 200 if status == "verified" else None,
        "bytes": 1489 if status == "verified" else 0,
        "took_s": 0.0312,
    }
    return RetrievalObservation(**{**values, **changes})


def fetched() -> tuple[RetrievalObservation, ...]:
    return (
        url("aia", 0, LEAF.aia[0]),
        url("cdp", 0, LEAF.cdp[0], cached=True, took_s=0.0, bytes=84211, object="CRL 1a2b"),
        url("ocsp", 0, LEAF.ocsp[0], method="POST", bytes=471, took_s=0.0119),
        url("aia", 1, ISSUING.aia[0]),
        url("cdp", 1, ISSUING.cdp[0], bytes=912),
    )


def no_answer(purpose: str, element: int, place: str, **changes: Any) -> RetrievalObservation:
    failure = Failure(kind="timeout", step="connect", detail="no answer in time")
    return url(purpose, element, place, "failed", outcome="failed", failure=failure, took_s=8.0014, **changes)


def key(**changes: Any) -> KeyObservation:
    values: dict[str, Any] = {
        "id": "key",
        "parent": "chain",
        "source": "file",
        "path": "sql01.pfx",
        "format": "pkcs12",
        "subject": LEAF.subject,
        "present": True,
        "matches": True,
        "key": "RSA 2048",
        "key_spec": "exchange",
        "provider": "Microsoft Enhanced RSA and AES Cryptographic Provider",
        "provider_kind": "csp",
        "key_usage": LEAF.key_usage,
        "names": LEAF.names,
    }
    return KeyObservation(**{**values, **changes})


def report(verdict: Verdict, observations: tuple[AnyObservation, ...], **changes: Any) -> Report:
    values: dict[str, Any] = {
        "tool": Tool(version="0.1.0"),
        "command": "cert",
        "target": Target(host="", port=0, scheme="file", path="sql01.cer"),
        "started": AT,
        "took_s": 0.1034,
        "verdict": verdict,
        "observations": observations,
    }
    return Report(**{**values, **changes})


def healthy() -> Report:
    verdict = Verdict(status="healthy", finding=None, blame=None, summary=f"the certificate of {NAME} is trusted")
    return report(verdict, (chain(), *fetched()))


def offline() -> Report:
    """The chain is fine, nobody answers about revocation, and the runtime cannot use the key of the PFX."""
    detail = "its revocation services cannot be reached: no answer in time"
    offline = fault("revocation-offline", 0, LEAF, detail, "OfflineRevocation", 0x1000000, "0x80092013")
    remark = fault(
        "key-usage",
        0,
        LEAF,
        "its key usage is not critical",
        "NotValidForUsage",
        0x10,
        "0x800B0110",
        severity=Severity.INFO,
        refused_by=("webpki",),
    )
    states = (
        ElementRevocation(element=0, subject=LEAF.subject, state="offline", detail="no answer in time"),
        good(1, ISSUING, "CRL 1a2b"),
    )
    best = path((LEAF, ISSUING, ROOT), faults=(offline,), sources=("given", LEAF.aia[0], "store"), trusted=False)
    seen = chain(faults=(offline,), notes=(remark,), revocation=states, paths=(best,))
    ksp = key(provider="Microsoft Software Key Storage Provider", provider_kind="ksp", key_spec="")
    urls = (
        url("aia", 0, LEAF.aia[0]),
        no_answer("cdp", 0, LEAF.cdp[0]),
        no_answer("cdp", 0, LDAP, id="retrieval.cdp.0.2", method="LDAP"),
        no_answer("ocsp", 0, LEAF.ocsp[0]),
        url("aia", 1, ISSUING.aia[0]),
        url("cdp", 1, ISSUING.cdp[0], bytes=912),
    )
    cause = Finding(
        id="chain.revocation-offline",
        severity=Severity.ERROR,
        summary=(
            f"Whether the certificate of {NAME} is revoked cannot be found out: neither {PKI}:80 nor ocsp.{PKI}:80 "
            "answers. The chain itself is fine"
        ),
        blame="local-network",
        remedy=f"Open TCP port 80 from this machine to {PKI} and ocsp.{PKI}; one of them is enough.",
        evidence=("chain", "retrieval.cdp.0", "retrieval.cdp.0.2", "retrieval.ocsp.0"),
        culprit=Culprit(name=f"{PKI}:80"),
    )
    provider = Finding(
        id="key.provider-ksp",
        severity=Severity.ERROR,
        summary="The private key in sql01.pfx goes to a key storage provider, which the runtime cannot use",
        blame="this-machine",
        remedy=(
            'Import it with: certutil -csp "Microsoft Enhanced RSA and AES Cryptographic Provider" '
            "-importpfx sql01.pfx AT_KEYEXCHANGE"
        ),
        evidence=("key",),
    )
    return report(
        verdict_of(cause),
        (seen, *urls, ksp),
        findings=(cause, provider),
        target=Target(host="", port=0, scheme="file", path="sql01.pfx"),
        took_s=8.1,
    )


def untrusted() -> Report:
    """An expired leaf below a private root, an older root besides, and an issuer that did not sign."""
    own_root = msgspec.structs.replace(ROOT, sha256="ee" * 32)
    leaf = msgspec.structs.replace(LEAF, not_after=AT - 12.2 * DAY)
    expired = fault("expired", 0, leaf, "valid until 2025-06-03 10:18 UTC", "NotTimeValid", 0x1, "0x800B0101")
    root = fault(
        "untrusted-root", 2, own_root, f"{ROOT.subject} is not in the trust store", "UntrustedRoot", 0x20, "0x800B0109"
    )
    weak = fault(
        "weak-signature",
        1,
        ISSUING,
        "signed with SHA-1",
        "HasWeakSignature",
        0x100000,
        "0x80096004",
        severity=Severity.WARNING,
    )
    best = path((leaf, ISSUING, own_root), "self-signed", faults=(expired, root, weak))
    dead = path((leaf, ISSUING), "dead-end", faults=(expired, weak))
    seen = chain(
        elements=best.elements,
        faults=best.faults,
        paths=(best, dead),
        chosen="of 2 paths, none of which ends at a root that is known, the one that leads furthest",
        rejected=(
            RejectedIssuer(
                child=leaf.subject,
                subject=ISSUING.subject,
                sha256="0f" * 32,
                reason="it has the issuer's name, and its key did not make the signature",
            ),
        ),
        revocation=(),
    )
    cause = Finding(
        id="chain.expired",
        severity=Severity.ERROR,
        summary=f"The certificate of {NAME} expired on 2025-06-03, 12 days ago",
        blame="server",
        remedy=f"Install the renewed certificate on {NAME}.",
        evidence=("chain",),
    )
    return report(verdict_of(cause), (seen,), findings=(cause,))


def incomplete() -> Report:
    detail = f"its issuer {ISSUING.subject} is neither given nor in the trust store"
    missing = fault("incomplete", 0, LEAF, detail, "PartialChain", 0x10000, "0x800B010A")
    best = path((LEAF,), "dead-end", faults=(missing,))
    seen = chain(elements=(LEAF,), faults=(missing,), paths=(best,), revocation=())
    cause = Finding(
        id="chain.incomplete",
        severity=Severity.ERROR,
        summary=f"The issuer of {NAME} is missing",
        blame="server",
        remedy="Add the intermediate to the file.",
        evidence=("chain",),
    )
    return report(verdict_of(cause), (seen,), findings=(cause,))


def revoked() -> Report:
    gone = fault(
        "revoked",
        0,
        LEAF,
        "it was revoked at 2025-06-01 08:12 UTC (keyCompromise), says CRL 1a2b",
        "Revoked",
        0x4,
        "0x80092010",
    )
    state = ElementRevocation(
        element=0,
        subject=LEAF.subject,
        state="revoked",
        source="CRL 1a2b",
        reason="keyCompromise",
        revoked_at=AT - 14 * DAY,
    )
    best = path((LEAF, ISSUING, ROOT), faults=(gone,), trusted=False)
    seen = chain(faults=(gone,), paths=(best,), revocation=(state, good(1, ISSUING, "CRL 7")))
    urls = (
        url("cdp", 0, LEAF.cdp[0], "revoked", bytes=84211, http_status=200, detail="revoked: keyCompromise"),
        url("ocsp", 0, LEAF.ocsp[0], "refused", detail="the responder answered tryLater", bytes=5, http_status=200),
    )
    cause = Finding(
        id="chain.revoked",
        severity=Severity.ERROR,
        summary=f"The certificate of {NAME} was revoked",
        blame="certificate-authority",
        remedy="Have a new one issued.",
        evidence=("chain", "retrieval.cdp.0"),
    )
    return report(verdict_of(cause), (seen, *urls), findings=(cause,))


def unreadable() -> Report:
    broken = ChainFault(
        kind="malformed",
        element=0,
        subject="",
        detail="it is no X.509 certificate",
        status_flag="InvalidExtension",
        status=0x100,
        hresult="0x800B0108",
    )
    seen = chain(host="", elements=(), faults=(broken,), paths=(), chosen="", revocation=())
    cause = Finding(
        id="chain.malformed",
        severity=Severity.ERROR,
        summary="sql01.cer holds a certificate that cannot be read",
        blame="unknown",
        remedy="Export it again.",
        evidence=("chain",),
    )
    return report(verdict_of(cause), (seen,), findings=(cause,), not_run=(NotRun(rung="chain", reason="interrupted"),))


def hostile(text: str) -> Report:
    """``text`` wherever a stranger can put text."""
    bad = certificate(f"CN={text}", f"CN={text}", names=(text, text), key=text, signature_algorithm=text, serial=text)
    wrong = fault("policy", 0, bad, text, text, 1 << 40, text)
    note = msgspec.structs.replace(wrong, severity=Severity.INFO)
    best = path((bad, bad), "dead-end", faults=(wrong,), sources=(text, text))
    state = ElementRevocation(element=1, subject=text, state="revoked", source=text, reason=text, detail=text)
    seen = chain(
        host=text,
        elements=(bad, bad),
        faults=(wrong, msgspec.structs.replace(wrong, element=9)),
        notes=(note,),
        stores=(text,),
        paths=(best, best),
        chosen=text,
        rejected=(RejectedIssuer(child=text, subject=text, sha256=text, reason=text),),
        revocation=(state,),
    )
    failure = Failure(kind="unknown", step=text, detail=text)
    urls = (
        url("aia", 0, text, object=text, proxy=text),
        url("ocsp", 1, text, "failed", detail=text, proxy=text, failure=failure, outcome="failed"),
        url("ocsp", 7, text, parent="nowhere"),
    )
    ksp = key(
        path=text, subject=text, key=text, provider=text, friendly_name=text, key_usage=(text,), names=(text,) * 5
    )
    made = offline()
    finding = msgspec.structs.replace(made.findings[0], summary=text, remedy=text, culprit=Culprit(name=text))
    return msgspec.structs.replace(
        made,
        target=Target(host="", port=0, scheme="file", path=text),
        verdict=verdict_of(finding),
        findings=(finding,),
        observations=(seen, *urls, ksp, msgspec.structs.replace(ksp, id="key.2", parent=None)),
        not_run=(NotRun(rung="chain", reason=text),),
        internal_errors=(text,),
    )
