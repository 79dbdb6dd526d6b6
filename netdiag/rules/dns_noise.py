"""Names that are looked up in vain as a matter of course, so that a capture full of them is no fault.

Contract: pure. A probe asks for one name because somebody wants to reach it; a capture holds every name that a machine
tried: its search list applied to names that need none, discovery protocols, browsers' tests for forged answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection

#: Hosts that Windows and browsers look for everywhere (WPAD, RFC 5214 ISATAP, MS-ADTS locator records), service
#: discovery (RFC 6763), reverse lookups, and top-level domains that no DNS server has (RFC 6762, RFC 8375, RFC 7686).
_DISCOVERY = r"(?:wpad|isatap|dns-sd|lb|b|db|_[^.]+)(?:\..*)?|.*\._(?:tcp|udp|msdcs)(?:\..*)?"
_OUTSIDE = r".*\.(?:arpa|local|home|lan|internal|localdomain|onion)|[a-z]{7,15}"


def usual_in_vain(name: str, others: Collection[str]) -> bool:
    """Whether nobody misses ``name``; ``others`` are the names of the capture that have addresses.

    One of these may be what was meant: a search list makes "www.example.com.corp.example" of it (RFC 1535).
    """
    if any(re.fullmatch(pattern, name, re.IGNORECASE) for pattern in (_DISCOVERY, _OUTSIDE)):
        return True
    return any(name.startswith(f"{other}.") for other in others if "." in other)
