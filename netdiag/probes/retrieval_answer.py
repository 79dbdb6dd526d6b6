"""What an HTTP answer tells besides its content: who made it, and whether it is a page for people. Pure."""

from __future__ import annotations

import re
import zlib

from netdiag.probes.failure import FailedError
from netdiag.wire.http import ResponseHead, body_text

#: Characters of a page's title, and of a reason phrase, in a sentence.
MAX_TITLE = 100
#: Where a page's first tag and its title are looked for.
_HEAD_CHARACTERS = 4096

#: How pages begin. DER begins with a byte below "<" (X.690 §8.1.2), PEM with text that is no tag.
_PAGE = re.compile(r"[\ufeff\s]*<(?:!doctype\s+html|html|head|body|\?xml|!--|meta|script|title)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,100}>(.{0,400}?)</title", re.IGNORECASE | re.DOTALL)
#: Products whose name in the Server field (RFC 9110 §10.2.4) says that a forward proxy made the answer.
_PROXY_PRODUCTS = re.compile(
    "squid|zscaler|blue ?coat|proxysg|mcafee|skyhigh|mwg|forcepoint|websense|fortiproxy|ironport|wsa|netskope|iboss",
    re.IGNORECASE,
)


def made_by_proxy(head: ResponseHead) -> str:
    """The field that proves that a proxy made this answer, and did not pass it on; empty without proof.

    A 403 or 504 alone proves nothing: the server may have sent it, and not every proxy adds a Via field.
    """
    if head.all("x-squid-error"):
        return f"X-Squid-Error: {head.get('x-squid-error')[:MAX_TITLE]}"
    if head.all("proxy-authenticate"):
        return "Proxy-Authenticate"
    status = head.get("proxy-status")  # RFC 9209 §2.1: "error" in an answer that the proxy generated
    if re.search(r";\s*error\s*=", status) and "received-status" not in status:
        return f"Proxy-Status: {status[:MAX_TITLE]}"
    if _PROXY_PRODUCTS.match(head.get("server")):
        return f"Server: {head.get('server')[:MAX_TITLE]}"
    return ""


def page_title(head: ResponseHead, body: bytes) -> str | None:
    """The title of the page for people that ``body`` is; empty when it has none, None when it is no page."""
    text = body_text(head, body[:_HEAD_CHARACTERS], _HEAD_CHARACTERS)
    if not _PAGE.match(text):
        return None
    match = _TITLE.search(text)
    return " ".join(match[1].split())[:MAX_TITLE] if match else ""


def said(head: ResponseHead) -> str:
    """Status and reason."""
    return f"{head.status} {head.reason[:MAX_TITLE]}".strip()


def decompressed(head: ResponseHead, body: bytes, limit: int) -> bytes:
    """The content without a coding that nobody asked for (RFC 9110 §8.4), at most ``limit`` bytes of it.

    Raises ``FailedError``.
    """
    coding = head.get("content-encoding").strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise FailedError("http-malformed", "fetch", f"the answer has the content coding {coding[:40]!r}")
    engine = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header, found out
    try:
        data = engine.decompress(body, limit)
    except zlib.error as error:
        raise FailedError("http-malformed", "fetch", f"the answer is no {coding}: {error}") from None
    if engine.unconsumed_tail:
        raise FailedError("http-malformed", "fetch", f"the answer expands beyond {limit >> 10} KiB")
    if not engine.eof:
        raise FailedError("http-malformed", "fetch", f"the answer is {coding} cut short")
    return data
