"""TLS to a server that a certificate's URL or a proxy setting names, verified against the trust store in use."""

from __future__ import annotations

from collections.abc import Callable

from netdiag.pki.trust import TrustStore
from netdiag.probes import chain, tls
from netdiag.probes.failure import FailedError
from netdiag.probes.net import Address, Deadline, Step, Stream
from netdiag.probes.retrieval_way import Secure


def verifier(store: TrustStore, public: TrustStore, clock: Callable[[], float]) -> Secure:
    """What ``Retriever`` takes as ``secure``. Missing issuers are not retrieved: that could go on for ever."""

    def secure(stream: Stream, address: Address, deadline: Deadline) -> Stream:
        seen, secured = tls.handshake(
            stream, address=address, server_name=address.host, purpose="main", deadline=deadline, step=Step("retrieval")
        )
        if secured is None:
            assert seen.failure
            raise FailedError(seen.failure.kind, seen.failure.step, f"TLS with {address.host}: {seen.failure.detail}")
        found = chain.verify(seen, address.host, store, public, clock(), Step("retrieval"))
        if found.failure:
            detail = f"the certificate of {address.host} is not trusted: {found.failure.detail}"
            raise FailedError("certificate", found.failure.step, detail)
        return secured

    return secure
