"""Reports as a run would have made them, by hand: what the tests of the printers and of the command line print."""

from __future__ import annotations

from typing import Any

import msgspec

from netdiag.model import (
    AnyObservation,
    CertificateSummary,
    ChainFault,
    ChainObservation,
    Culprit,
    DnsObservation,
    DnsRecord,
    Failure,
    Finding,
    HttpsObservation,
    NotRun,
    ProxyObservation,
    ProxySelection,
    Report,
    Severity,
    Target,
    TcpInfo,
    TcpObservation,
    TlsObservation,
    Tool,
    Verdict,
)

HOST = "wu2.frontend.clouddatahub.net"
ADDRESS = "192.0.2.10"
AT = 1_750_000_000.0
DAY = 86400.0


def target(**changes: Any) -> Target:
    return Target(**{"host": HOST, **changes})


def certificate(subject: str, issuer: str, **changes: Any) -> CertificateSummary:
    values: dict[str, Any] = {
        "subject": subject,
        "issuer": issuer,
        "serial": "0A",
        "not_before": AT - 100 * DAY,
        "not_after": AT + 83.5 * DAY,
        "sha256": "ab" * 32,
        "sha1": "cd" * 20,
        "key": "RSA 2048",
        "self_signed": subject == issuer,
    }
    return CertificateSummary(**{**values, **changes})


LEAF = certificate(
    f"CN={HOST},O=Microsoft Corporation",
    "CN=Microsoft TLS G2 RSA CA OCSP 02,O=Microsoft Corporation",
    names=(HOST, "*.frontend.clouddatahub.net"),
)
ISSUER = certificate(LEAF.issuer, "CN=DigiCert Global Root G2,OU=www.digicert.com,O=DigiCert Inc", is_ca=True)
ROOT = certificate(ISSUER.issuer, ISSUER.issuer, is_ca=True)


def machine() -> tuple[AnyObservation, ...]:
    return (
        ProxySelection(id="proxy.selection", because="no setting"),
        DnsObservation(id="dns.hosts", asker="hosts-file", server="/etc/hosts", name=HOST),
    )


def dns() -> tuple[AnyObservation, ...]:
    aliases = (DnsRecord(name=HOST, type="CNAME", ttl=60, value="wu2-frontend.trafficmanager.net"),)
    return (
        DnsObservation(id="dns.system", asker="system", name=HOST, addresses=(ADDRESS,), took_s=0.0124),
        DnsObservation(
            id="dns.10.0.0.2:53.A",
            asker="name-server",
            server="10.0.0.2:53",
            name=HOST,
            qtype="A",
            rcode="NOERROR",
            addresses=(ADDRESS,),
            records=aliases,
            transport="udp",
            took_s=0.0115,
        ),
        DnsObservation(
            id="dns.10.0.0.2:53.AAAA",
            asker="name-server",
            server="10.0.0.2:53",
            name=HOST,
            qtype="AAAA",
            rcode="NOERROR",
            took_s=0.0118,
        ),
    )


def tcp(**changes: Any) -> TcpObservation:
    values: dict[str, Any] = {
        "id": f"tcp.direct.{ADDRESS}:443",
        "parent": "dns.system",
        "address": ADDRESS,
        "port": 443,
        "took_s": 0.0312,
        "info": TcpInfo(rtt_ms=30.1, retransmits=0, mss=1448),
    }
    return TcpObservation(**{**values, **changes})


def tls(**changes: Any) -> TlsObservation:
    values: dict[str, Any] = {
        "id": "tls.direct.main",
        "parent": f"tcp.direct.{ADDRESS}:443",
        "address": ADDRESS,
        "port": 443,
        "server_name": HOST,
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "alpn": "h2",
        "chain": (b"leaf", b"issuer"),
        "took_s": 0.0645,
    }
    return TlsObservation(**{**values, **changes})


def chain(**changes: Any) -> ChainObservation:
    values: dict[str, Any] = {
        "id": "chain.direct",
        "parent": "tls.direct.main",
        "host": HOST,
        "elements": (LEAF, ISSUER, ROOT),
        "stores": ("system /etc/ssl/certs/ca-certificates.crt",),
        "store_size": 140,
        "publicly_trusted": True,
        "has_digicert_g2": True,
        "at": AT,
        "took_s": 0.0021,
    }
    return ChainObservation(**{**values, **changes})


def https(**changes: Any) -> HttpsObservation:
    values: dict[str, Any] = {
        "id": "https.direct",
        "parent": "tls.direct.main",
        "url": f"https://{HOST}/",
        "final_url": f"https://{HOST}/",
        "status": 404,
        "reason": "Not Found",
        "headers": (("Server", "Microsoft-HTTPAPI/2.0"),),
        "first_byte_s": 0.0987,
        "clock_offset_s": 0.4,
        "took_s": 0.1012,
    }
    return HttpsObservation(**{**values, **changes})


def report(verdict: Verdict, observations: tuple[AnyObservation, ...], **changes: Any) -> Report:
    values: dict[str, Any] = {
        "tool": Tool(version="0.1.0"),
        "command": "endpoint",
        "target": target(),
        "started": AT,
        "took_s": 0.2134,
        "verdict": verdict,
        "observations": observations,
    }
    return Report(**{**values, **changes})


def verdict_of(finding: Finding) -> Verdict:
    status = "failed" if finding.severity is Severity.ERROR else "impaired"
    return Verdict(status=status, finding=finding.id, blame=finding.blame, summary=finding.summary)


def healthy(host: str = HOST) -> Report:
    controls = tls(
        id="tls.direct.tls1.2-only",
        purpose="tls1.2-only",
        offered=("TLSv1.2", "TLSv1.2"),
        version="TLSv1.2",
        cipher="ECDHE-RSA-AES256-GCM-SHA384",
    )
    verdict = Verdict(status="healthy", finding=None, blame=None, summary=f"{host}:443 can be used")
    observations = (*machine(), *dns(), tcp(), tls(), controls, chain(), https())
    return report(verdict, observations, target=target(host=host))


def impaired() -> Report:
    dead = tcp(
        id="tcp.direct.[2001:db8::10]:443",
        address="2001:db8::10",
        outcome="failed",
        failure=Failure(kind="timeout", step="connect", detail="no answer in time"),
        info=TcpInfo(retransmits=3),
        took_s=8.0021,
    )
    finding = Finding(
        id="tcp.no-reply",
        severity=Severity.WARNING,
        summary=f"[2001:db8::10]:443, one of the addresses of {HOST}, does not answer; 192.0.2.10:443 does.",
        blame="path-device",
        remedy="Let the firewall pass IPv6 to port 443, or take IPv6 away from this machine.",
        evidence=(dead.id,),
        culprit=Culprit(address="2001:db8::1", hop=4),
    )
    return report(verdict_of(finding), (*machine(), *dns(), tcp(), dead, tls(), chain(), https()), findings=(finding,))


def dns_failure(host: str = HOST) -> Report:
    failure = Failure(kind="nxdomain", step="query", detail="Name or service not known")
    system = DnsObservation(
        id="dns.system", asker="system", name=host, outcome="failed", failure=failure, took_s=0.0041
    )
    server = DnsObservation(
        id="dns.10.0.0.2:53.A",
        asker="name-server",
        server="10.0.0.2:53",
        name=host,
        qtype="A",
        rcode="NXDOMAIN",
        outcome="failed",
        failure=Failure(kind="nxdomain", step="query"),
        took_s=0.0038,
    )
    finding = Finding(
        id="dns.name-not-found",
        severity=Severity.ERROR,
        summary=f"No name server knows {host}: 10.0.0.2:53 says NXDOMAIN.",
        blame="dns",
        remedy="Correct the name, or add it to the zone on the name server.",
        evidence=("dns.system", "dns.10.0.0.2:53.A"),
        folded=("dns.no-address",),
    )
    rungs = ("tcp", "tls", "chain", "https")
    return report(
        verdict_of(finding),
        (machine()[0], system, server),
        target=target(host=host),
        findings=(finding,),
        not_run=tuple(NotRun(rung=rung, reason="the name has no address") for rung in rungs),
    )


def proxy_forbidden() -> Report:
    """The direct way is shut, and the proxy says no."""
    silent = tcp(
        outcome="failed",
        failure=Failure(kind="timeout", step="connect"),
        info=TcpInfo(retransmits=3),
        took_s=8.0007,
    )
    to_proxy = tcp(
        id="tcp.proxy.10.0.0.9:8080",
        parent="dns.proxy.system",
        route="proxy",
        address="10.0.0.9",
        port=8080,
        peer="proxy",
        took_s=0.0007,
        info=TcpInfo(rtt_ms=0.6),
    )
    name = DnsObservation(
        id="dns.proxy.system", route="proxy", asker="system", name="proxy.corp", addresses=("10.0.0.9",), took_s=0.001
    )
    tunnel = ProxyObservation(
        id="proxy.10.0.0.9:8080",
        parent=to_proxy.id,
        route="proxy",
        proxy="http://proxy.corp:8080",
        status=403,
        reason="Forbidden",
        outcome="failed",
        failure=Failure(kind="proxy-status", step="CONNECT", detail="403 Forbidden"),
        headers=(("Server", "squid/5.7"),),
        body="<h1>Access Denied</h1>",
        took_s=0.0123,
    )
    selection = ProxySelection(id="proxy.selection", proxies=("http://proxy.corp:8080",), because="HTTPS_PROXY")
    finding = Finding(
        id="proxy.forbidden",
        severity=Severity.ERROR,
        summary=f"The proxy proxy.corp:8080 forbids the way to {HOST}:443 (403 Forbidden).",
        blame="proxy",
        remedy=f"Have the proxy's administrator allow CONNECT to {HOST}:443.",
        evidence=(tunnel.id,),
        culprit=Culprit(address="10.0.0.9", name="squid/5.7"),
    )
    skipped = [NotRun(rung=rung, route="direct", reason="no TCP connection") for rung in ("tls", "chain", "https")]
    skipped += [NotRun(rung=rung, route="proxy", reason="no tunnel") for rung in ("tls", "chain", "https")]
    return report(
        verdict_of(finding),
        (selection, *dns(), name, silent, to_proxy, tunnel),
        route="proxy",
        findings=(finding,),
        not_run=tuple(skipped),
        took_s=8.02,
    )


def intercepted() -> Report:
    """Another issuer through the proxy than directly; the company's root is not in the store."""
    false_root = "CN=Contoso TLS Inspection CA,O=Contoso"
    false_leaf = certificate(f"CN={HOST}", false_root, names=(HOST,))
    fault = ChainFault(
        kind="untrusted-root",
        element=1,
        subject=false_root,
        detail="the chain ends in a root that is not in the store",
        status_flag="UntrustedRoot",
    )
    to_proxy = tcp(
        id="tcp.proxy.10.0.0.9:8080",
        route="proxy",
        address="10.0.0.9",
        port=8080,
        peer="proxy",
        took_s=0.0007,
        info=None,
    )
    tunnel = ProxyObservation(
        id="proxy.10.0.0.9:8080",
        parent=to_proxy.id,
        route="proxy",
        proxy="http://proxy.corp:8080",
        status=200,
        took_s=0.02,
    )
    inside = tls(
        id="tls.proxy.main", route="proxy", parent=tunnel.id, version="TLSv1.2", cipher="ECDHE-RSA-AES128-GCM-SHA256"
    )
    replaced = chain(
        id="chain.proxy",
        route="proxy",
        parent=inside.id,
        elements=(false_leaf, certificate(false_root, false_root, is_ca=True)),
        faults=(fault,),
        publicly_trusted=False,
    )
    selection = ProxySelection(id="proxy.selection", proxies=("http://proxy.corp:8080",), because="HTTPS_PROXY")
    finding = Finding(
        id="tls.intercepted",
        severity=Severity.ERROR,
        summary=f'The certificate of {HOST} is replaced on the way: its issuer is "Contoso TLS Inspection CA".',
        blame="tls-interceptor",
        remedy=f"Have the proxy's administrator exempt {HOST} from inspection.",
        evidence=(replaced.id, "chain.direct"),
        culprit=Culprit(name="Contoso TLS Inspection CA"),
        reference="https://learn.microsoft.com/azure/data-factory/self-hosted-integration-runtime-proxy-ssl",
        folded=("chain.untrusted-root",),
    )
    warning = Finding(
        id="chain.weak-signature",
        severity=Severity.WARNING,
        summary="The certificate of the proxy is signed with SHA-1.",
        blame="tls-interceptor",
        remedy="Have the proxy sign with SHA-256.",
        evidence=(replaced.id,),
    )
    return report(
        verdict_of(finding),
        (selection, *dns(), tcp(), to_proxy, tunnel, tls(), inside, chain(), replaced, https()),
        route="proxy",
        findings=(finding, warning),
        not_run=(NotRun(rung="https", route="proxy", reason="the chain is not trusted"),),
    )


def inconclusive(host: str = HOST) -> Report:
    verdict = Verdict(
        status="inconclusive", finding=None, blame=None, summary=f"{host}:443 could not be tested: interrupted"
    )
    return report(
        verdict, (), target=target(host=host), not_run=(NotRun(rung="dns", reason="interrupted"),), took_s=0.0
    )


def hostile(text: str) -> Report:
    """``text`` wherever a stranger can put text."""
    made = intercepted()
    bad = certificate(f"CN={text}", f"CN={text}", names=(text,))
    observations: tuple[AnyObservation, ...] = (
        ProxySelection(id="proxy.selection", proxies=(text,), because=text, setting=text),
        DnsObservation(
            id="dns.system",
            asker="system",
            name=text,
            addresses=(text,),
            records=(DnsRecord(name=text, type="CNAME", ttl=1, value=text),),
        ),
        tcp(address=text, failure=Failure(kind="unknown", step=text, detail=text), outcome="failed"),
        ProxyObservation(id=f"proxy.{text}", route="proxy", proxy=text, reason=text, offered=(text,), body=text),
        tls(id="tls.proxy.main", route="proxy", server_name=text, alpn=text, not_tls=text, cipher=text, alert=text),
        chain(id="chain.proxy", route="proxy", elements=(bad, bad)),
        https(id="https.proxy", route="proxy", final_url=text, headers=(("Server", text), (text, text)), body=text),
    )
    finding = msgspec.structs.replace(
        made.findings[0], summary=text, remedy=text, culprit=Culprit(name=text), evidence=("chain.proxy", text)
    )
    return msgspec.structs.replace(
        made,
        target=target(host=text, purpose=text),
        verdict=verdict_of(finding),
        findings=(finding,),
        observations=observations,
        not_run=(NotRun(rung="https", route="direct", reason=text), NotRun(rung="tls", route="proxy", reason=text)),
        internal_errors=(text,),
    )
