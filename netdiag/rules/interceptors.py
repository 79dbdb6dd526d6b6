"""Makers of TLS inspection, recognised by the names that they put into the certificates they issue.

Contract: pure data and one look-up over names as RFC 4514 writes them. A match is a hint about who to ask; that a
certificate was replaced is decided in ``rules/tls_certificate.py``, because a private CA may bear any name.
"""

from __future__ import annotations

import functools
import re

#: (vendor, pattern over subject or issuer). The first match names the vendor, so the narrow ones come first.
_VENDORS = (
    ("Zscaler", r"zscaler"),
    ("Fortinet FortiGate", r"forti(?:net|gate)|\bFGT|\bFG\d+[A-Z]"),
    ("Palo Alto Networks", r"palo ?alto|prisma access"),
    ("Symantec ProxySG (Blue Coat)", r"blue ?coat|proxysg|symantec (?:web|cloud|wss)|broadcom cloud swg"),
    ("Forcepoint (Websense)", r"forcepoint|websense"),
    ("Skyhigh (McAfee) Web Gateway", r"mcafee|skyhigh|trellix"),
    ("Netskope", r"netskope|goskope"),
    ("Cisco Umbrella", r"umbrella|opendns"),
    ("Cisco Web Security Appliance", r"ironport|cisco (?:wsa|secure web|web security)"),
    ("Cisco Firepower", r"firepower|sourcefire"),
    ("Cisco", r"\bcisco\b"),
    ("Check Point", r"check ?point"),
    ("Sophos", r"sophos|cyberoam|astaro"),
    ("Barracuda", r"barracuda"),
    ("WatchGuard", r"watchguard|fireware"),
    ("Untangle", r"untangle|edge threat management"),
    ("Squid", r"\bsquid\b"),
    ("mitmproxy", r"mitmproxy"),
    ("Burp (PortSwigger)", r"portswigger|\bburp\b"),
    ("Charles", r"charles(?: web debugging)? proxy"),
    ("Fiddler", r"fiddler"),
    ("Proxyman", r"proxyman"),
    ("Kaspersky", r"kaspersky"),
    ("ESET", r"\beset\b"),
    ("Avast", r"\bavast"),
    ("AVG", r"\bavg\b"),
    ("Bitdefender", r"bitdefender"),
    ("Norton", r"\bnorton\b"),
    ("AdGuard", r"adguard"),
    ("iboss", r"\biboss\b"),
    ("Menlo Security", r"menlo ?security"),
    ("ContentKeeper", r"contentkeeper"),
    ("SonicWall", r"sonicwall"),
    ("Trend Micro", r"trend ?micro|\biwsva\b|interscan"),
    ("Clearswift", r"clearswift"),
    ("Smoothwall", r"smoothwall"),
    ("Lightspeed", r"lightspeed (?:systems|filter|rocket|relay)"),
    ("GoGuardian", r"goguardian"),
    ("Securly", r"securly"),
    ("Cloudflare Gateway", r"cloudflare (?:for teams|managed|gateway|zero trust)|gateway ca ?- ?cloudflare"),
    ("Microsoft Entra Global Secure Access", r"global secure access|entra internet access"),
    ("Microsoft Defender", r"microsoft defender|defender for (?:endpoint|cloud apps)"),
    ("Cato Networks", r"cato ?networks"),
    ("F5 SSL Orchestrator", r"ssl orchestrator|sslo\b"),
    ("A10 Thunder", r"\ba10 networks"),
    ("Juniper SRX", r"juniper|\bsrx\b"),
    ("Stormshield", r"stormshield"),
    ("Sangfor", r"sangfor"),
    ("pfSense or OPNsense", r"pfsense|opnsense"),
)


@functools.lru_cache(maxsize=1024)
def vendor_of(name: str) -> str:
    """The maker of TLS inspection that a subject or issuer names, empty when it names none."""
    return next((vendor for vendor, pattern in _VENDORS if re.search(pattern, name, re.IGNORECASE)), "")
