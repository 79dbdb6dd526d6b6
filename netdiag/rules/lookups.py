"""The lookups of one name side by side: what the application gets, and what each name server says by itself.

Contract: pure. The application's own lookup (asker "system") decides whether a name can be used; the name servers only
explain why. getaddrinfo tells little: glibc says "try again" for silence, SERVFAIL and REFUSED alike, macOS and Windows
say "not known" for nearly everything. So its failure is taken as a fact, and its kind only where no server tells more.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.model import Blame, DnsObservation, DnsRecord, FailureKind, TcpObservation
from netdiag.rules.seen import Seen

#: Why a lookup gave no address; each is the slug of one rule. The order is from what is certain to what is silent.
Cause = Literal["name-not-found", "no-address", "server-failure", "refused", "timeout"]
CAUSES: tuple[Cause, ...] = ("name-not-found", "no-address", "server-failure", "refused", "timeout")

#: Kinds that are not here (servfail, lame, dns-malformed, reset, eof, unknown) are the server's failure.
_CAUSE: dict[FailureKind, Cause] = {
    "nxdomain": "name-not-found",
    "no-answer": "no-address",
    "dns-refused": "refused",
    "refused": "refused",
    "timeout": "timeout",
    "unreachable": "timeout",
    "prohibited": "timeout",
    "no-route": "timeout",
    "local-policy": "timeout",
}


def canonical(name: str) -> str:
    """Names compare without case and without the root's dot."""
    return name.lower().removesuffix(".")


class Server(msgspec.Struct, frozen=True, dict=True):
    """What one name server answered about a name, all types together."""

    server: str
    configured: bool
    answers: tuple[DnsObservation, ...]

    @functools.cached_property
    def addresses(self) -> tuple[str, ...]:
        """Of every type."""
        return tuple(dict.fromkeys(address for answer in self.answers for address in answer.addresses))

    @functools.cached_property
    def records(self) -> tuple[DnsRecord, ...]:
        """Of every type."""
        return tuple(record for answer in self.answers for record in answer.records)

    @functools.cached_property
    def aliases(self) -> tuple[str, ...]:
        """The names that it leads to by CNAME, in order."""
        return tuple(dict.fromkeys(canonical(record.value) for record in self.records if record.type == "CNAME"))

    @functools.cached_property
    def deciding(self) -> DnsObservation | None:
        """The failed answer that tells most, None when every type was answered.

        An empty answer for one of two types is normal, and so is NXDOMAIN from old load balancers for AAAA when A has
        addresses (RFC 4074 §4.2).
        """
        failed = {cause_of(answer): answer for answer in reversed(self.answers) if answer.failure}
        if self.addresses:
            order: tuple[Cause, ...] = ("server-failure", "refused", "timeout")
        else:
            order = ("name-not-found", "server-failure", "refused", "timeout", "no-address")
        return next((failed[cause] for cause in order if cause in failed), None)

    @functools.cached_property
    def cause(self) -> Cause | None:
        """Why this server is of no use for the name, None when it is."""
        return cause_of(self.deciding) if self.deciding else None


def cause_of(observation: DnsObservation) -> Cause:
    """The cause that a failed lookup shows by itself."""
    return _CAUSE.get(observation.failure.kind, "server-failure") if observation.failure else "server-failure"


class Lookups(msgspec.Struct, frozen=True, dict=True):
    """Everything that was asked about one name on the effective route."""

    name: str
    system: DnsObservation | None
    hosts: DnsObservation | None
    servers: tuple[Server, ...]

    @functools.cached_property
    def configured(self) -> tuple[Server, ...]:
        """The name servers that applications on this machine ask."""
        return tuple(server for server in self.servers if server.configured)

    @functools.cached_property
    def added(self) -> tuple[Server, ...]:
        """The name servers that the user added to compare with."""
        return tuple(server for server in self.servers if not server.configured)

    @functools.cached_property
    def hosts_addresses(self) -> tuple[str, ...]:
        """What the hosts file gives for the name."""
        return self.hosts.addresses if self.hosts else ()

    @functools.cached_property
    def private_link(self) -> str:
        """The private DNS zone that the aliases pass through; empty for none."""
        for server in self.servers:
            for alias in server.aliases:
                labels = alias.split(".")
                if "privatelink" in labels:
                    return ".".join(labels[labels.index("privatelink") :])
        return ""

    @functools.cached_property
    def gave_up(self) -> bool:
        """The run stopped waiting for the system, so its failure is not its own word."""
        failure = self.system.failure if self.system else None
        return failure is not None and failure.kind == "timeout" and failure.detail.startswith("not answered")

    @functools.cached_property
    def addresses(self) -> tuple[str, ...]:
        """What an application gets; without the system's word, what it should get."""
        if self.system and self.system.outcome == "ok":
            return self.system.addresses
        if self.system and self.system.outcome == "failed" and not self.gave_up:
            return ()
        first = next((server.addresses for server in self.configured if server.addresses), ())
        return self.hosts_addresses or first

    @functools.cached_property
    def works(self) -> bool | None:
        """Whether an application gets an address; None when nobody knows."""
        if self.addresses:
            return True
        settled = (self.system and self.system.outcome == "failed") or any(s.cause for s in self.configured)
        return False if settled else None

    @functools.cached_property
    def cause(self) -> Cause:
        """Why the name does not work. Only meaningful when it does not."""
        causes = {server.cause for server in self.configured if not server.addresses}
        told = next((cause for cause in CAUSES if cause in causes), None)
        if self.system is None or self.system.failure is None:
            return told or "timeout"
        own = cause_of(self.system)
        if any(server.addresses for server in self.configured):
            # macOS and Windows say "not known" for a silent server too.
            return "timeout" if own == "name-not-found" and told == "timeout" else own
        return told or own

    def because(self, cause: Cause) -> tuple[Server, ...]:
        """The configured name servers with this cause."""
        return tuple(server for server in self.configured if server.cause == cause)

    @functools.cached_property
    def evidence(self) -> tuple[DnsObservation, ...]:
        """The system's lookup and every name server's failed answer."""
        failed = tuple(answer for server in self.configured for answer in server.answers if answer.outcome == "failed")
        return (*((self.system,) if self.system else ()), *failed)

    @functools.cached_property
    def blame(self) -> Blame:
        """The name servers, unless this machine does not let itself ask them or overhears their answer."""
        kinds = {s.deciding.failure.kind for s in self.configured if s.deciding and s.deciding.failure}
        answered = any(server.addresses for server in self.configured) and self.works is False
        own = bool(kinds) and kinds <= {"no-route", "local-policy"}
        return "this-machine" if own or (answered and not kinds) else "dns"


def lookups(seen: Seen) -> tuple[Lookups, ...]:
    """One entry for each name that the effective route needs, "localhost" apart: that has a rule of its own."""
    return seen.derived(_lookups)


def _lookups(seen: Seen) -> tuple[Lookups, ...]:
    return tuple(_each(seen))


def _each(seen: Seen) -> Iterator[Lookups]:
    observations = [o for o in seen.effective(DnsObservation) if canonical(o.name) != "localhost"]
    for name in dict.fromkeys(canonical(observation.name) for observation in observations):
        mine = [o for o in observations if canonical(o.name) == name]
        yield Lookups(
            name=name,
            system=next((o for o in mine if o.asker == "system"), None),
            hosts=next((o for o in mine if o.asker == "hosts-file"), None),
            servers=tuple(_servers(o for o in mine if o.asker == "name-server" and o.outcome != "not-run")),
        )


def _servers(observations: Iterable[DnsObservation]) -> Iterator[Server]:
    by_server: dict[str, list[DnsObservation]] = {}
    for observation in observations:
        by_server.setdefault(observation.server, []).append(observation)
    for server, answers in by_server.items():
        yield Server(server, any(answer.configured for answer in answers), tuple(answers))


def all_fail(seen: Seen, addresses: Sequence[str]) -> bool:
    """Whether connections to the addresses were tried on the effective route, and none succeeded."""
    tried = [tcp for tcp in seen.effective(TcpObservation) if tcp.outcome != "not-run"]
    mine = [tcp for tcp in tried if tcp.address in addresses]
    return bool(mine) and all(tcp.outcome == "failed" for tcp in tried)
