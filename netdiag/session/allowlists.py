"""Service tags, firewall rules, endpoints -> one report: what the rules miss, what is stale, whether DNS agrees.

Contract: raises ``UsageError`` for what cannot be read or understood. Nothing is sent but lookups of the endpoints'
names, and these only with ``resolve``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import msgspec

from netdiag.allowlist import services
from netdiag.allowlist.addresses import NOTHING, Addresses, parse_address, union
from netdiag.allowlist.coverage import Need, Now, compare, prefix_list
from netdiag.allowlist.formats import read_rules
from netdiag.allowlist.source import Asked
from netdiag.allowlist.tags import DOWNLOADS, Tag, TagFile, read_tags
from netdiag.model import (
    AllowlistObservation,
    AnyObservation,
    DnsObservation,
    Failure,
    MachineInfo,
    Report,
    ServiceTagsObservation,
    TagNeed,
    Target,
    UsageError,
)
from netdiag.session.judgement import describe, judge_allowlist

if TYPE_CHECKING:
    from netdiag.probes.machine import Machine

#: Names that are looked up: a profile has about ten.
MAX_HOSTS = 500
#: Tags of one service that are named for an address.
_TAGS = 5
_DAY_S = 86400.0
_TICK_S = 0.1
_UNREADABLE = 20

#: Told what is being done, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class AllowlistOptions:
    """The same choices as the command line's, with its defaults.

    ``endpoints`` decide which tags are needed; so do ``tags`` by name, ``region`` ("westus2", "wu2") and ``ssis``.
    ``previous`` is an earlier tag file. ``port`` is for tags without an endpoint. ``source`` is the address of the
    machine whose connections are meant; ``chain`` the chain that is judged; ``default`` what becomes of connections
    that no rule fits, where the file does not say. ``families`` () judges those that the rules speak of.
    """

    endpoints: tuple[Target, ...] = ()
    tags: tuple[str, ...] = ()
    region: str = ""
    ssis: bool = False
    previous: str = ""
    port: int = 443
    source: str = ""
    chain: str = ""
    default: Literal["allow", "deny"] | None = None
    families: tuple[Literal[4, 6], ...] = ()
    resolve: bool = False
    timeout_s: float = 8.0
    #: Say in the report which machine looked the names up.
    name_machine: bool = True


def check_allowlist(
    tags: str,
    rules: Sequence[str] = (),
    options: AllowlistOptions | None = None,
    *,
    machine: Machine | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Compare the rule files with the service tags in ``tags`` ("-" is stdin); without rules, say what is needed."""
    desk = _Desk(options or AllowlistOptions(), machine, progress, cancel or threading.Event())
    started, clock = time.time(), time.monotonic()
    desk.read(tags)
    asked = desk.asked()
    firewalls = [(path, firewall) for path in rules for firewall in read_rules(path, asked)]
    observations: list[AnyObservation] = [desk.tags_observation(started)]
    errors: list[str] = []
    try:
        looked_up = desk.look_up() if desk.options.resolve else ()
        observations += looked_up
        now = tuple(desk.now(looked_up))
        for number, (path, firewall) in enumerate(firewalls, 1):
            if desk.progress:
                desk.progress("comparing", number - 1, len(firewalls))
            found = compare(
                firewall,
                desk.needs,
                now,
                known=None if desk.previous else cache(desk.file.everything),
                gone=desk.gone,
                tags_with=desk.tags_with,
                families=desk.options.families,
            )
            observations.append(_placed(found, number, path, started, desk.options))
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug must cost the finding, not the report (DESIGN, Errors)
        errors.append(describe(error))
    return judge_allowlist(
        _target(list(rules) or [tags]),
        started=started,
        took_s=time.monotonic() - clock,
        observations=tuple(observations),
        internal_errors=tuple(errors),
        interrupted=desk.cancel.is_set(),
        machine=_described(machine) if desk.options.name_machine else None,
    )


def _described(machine: Machine | None) -> MachineInfo:
    """Which machine looked names up. Without loading what probes need."""
    from netdiag.probes.machine_info import machine_info

    return machine.described() if machine is not None else machine_info()


def _placed(
    found: AllowlistObservation, number: int, path: str, started: float, options: AllowlistOptions
) -> AllowlistObservation:
    return msgspec.structs.replace(
        found,
        id=f"allowlist.{number}" if number > 1 else "allowlist",
        parent="service-tags",
        started=started,
        path=_shown(path),
        scenario=3 if options.ssis else found.scenario,
    )


def _shown(path: str) -> str:
    return "stdin" if path == "-" else path


def _target(paths: Sequence[str]) -> Target:
    name = "stdin" if paths[0] == "-" else PurePath(paths[0]).name
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return Target(host="", port=0, scheme="file", path=f"{name}{more}")


@dataclass
class _Plan:
    """One tag on one port, while the endpoints that need it are collected."""

    tag: Tag | None
    port: int
    region: str = ""
    because: str = ""
    remark: str = ""
    samples: tuple[str, ...] = ()
    hosts: list[str] = field(default_factory=list)


@dataclass
class _Desk:
    """One run: what is asked, and with what."""

    options: AllowlistOptions
    machine: Machine | None
    progress: Progress | None
    cancel: threading.Event
    plans: list[_Plan] = field(default_factory=list)
    needs: tuple[Need, ...] = ()
    gone: Addresses = NOTHING
    previous: TagFile | None = None

    def read(self, path: str) -> None:
        """Read the tags, and find out which are needed."""
        self.file = read_tags(path)
        if self.options.previous:
            self.previous = read_tags(self.options.previous)
            _check_order(self.previous, self.file)
        self.plans = list(_plans(self.file, self.options))
        old = {id(plan): self._old(plan) for plan in self.plans}
        self.needs = tuple(self._need(plan, old[id(plan)]) for plan in self.plans)
        self.gone = union(old.values()) - union(need.addresses for need in self.needs)

    def asked(self) -> Asked:
        """What is asked of every firewall."""
        source = parse_address(self.options.source) if self.options.source else None
        if self.options.source and source is None:
            raise UsageError(f"the source {self.options.source!r} is no address")
        return Asked(tags=self.file, source=source, chain=self.options.chain, default=self.options.default)

    def _old(self, plan: _Plan) -> Addresses:
        """What the tag covered in the earlier file."""
        old = self.previous.get(plan.tag.name) if self.previous and plan.tag else None
        return old.addresses() if old else NOTHING

    def _need(self, plan: _Plan, old: Addresses) -> Need:
        addresses = plan.tag.addresses() if plan.tag else NOTHING
        return Need(
            tag=plan.tag.name if plan.tag else "",
            port=plan.port,
            hosts=tuple(plan.hosts),
            samples=plan.samples,
            addresses=addresses,
            added=addresses - old if self.previous else NOTHING,
        )

    def tags_observation(self, started: float) -> ServiceTagsObservation:
        """What the file is, and what is needed of it."""
        previous = self.previous
        unreadable = [text for plan in self.plans if plan.tag for text in plan.tag.unreadable()]
        return ServiceTagsObservation(
            id="service-tags",
            source="file",
            started=started,
            path=self.file.path,
            cloud=self.file.cloud,
            change_number=self.file.change_number,
            date=self.file.date,
            age_days=_age(self.file.date, started),
            tags=len(self.file.tags),
            needs=tuple(self._tag_need(plan, need) for plan, need in zip(self.plans, self.needs, strict=True)),
            unreadable=tuple(unreadable[:_UNREADABLE]),
            previous=previous.path if previous else "",
            previous_change_number=previous.change_number if previous else "",
            previous_date=previous.date if previous else "",
        )

    def _tag_need(self, plan: _Plan, need: Need) -> TagNeed:
        return TagNeed(
            tag=need.tag,
            region=plan.region,
            port=need.port,
            hosts=need.hosts,
            because=plan.because,
            remark=plan.remark,
            prefixes=prefix_list(need.addresses),
            added=prefix_list(need.added),
            removed=prefix_list(self._old(plan) - need.addresses),
        )

    def tags_with(self, tag: str, addresses: Addresses) -> tuple[str, ...]:
        """The tags of the same service that hold some of the addresses: those of regions, else the whole cloud's."""
        stem = tag.partition(".")[0].lower()
        of_service = (each for key, each in self.file.tags.items() if key.partition(".")[0] == stem)
        holding = [each for each in of_service if each.addresses() & addresses]
        chosen = [each.name for each in holding if each.region] or [each.name for each in holding]
        return tuple(chosen[:_TAGS])

    def look_up(self) -> tuple[DnsObservation, ...]:
        """Every endpoint's name as an application on this machine would look it up, all at once."""
        from netdiag.probes import names
        from netdiag.probes.machine import Machine
        from netdiag.probes.net import Step
        from netdiag.probes.threads import spawn

        machine = self.machine or Machine()
        hosts = [
            host for host in dict.fromkeys(each.host for each in self.options.endpoints) if not parse_address(host)
        ]
        if len(hosts) > MAX_HOSTS:
            raise UsageError(f"{len(hosts)} names to look up, of at most {MAX_HOSTS} (--no-resolve looks none up)")
        started, clock = time.time(), time.monotonic()
        waiting = {
            host: spawn(lambda host=host: names.lookup(machine, host, Step(f"dns.{host}")))  # type: ignore[misc]
            for host in hosts
        }
        while (left := [future for future in waiting.values() if not future.done()]) and not self.cancel.is_set():
            if self.progress:
                self.progress("looking names up", len(hosts) - len(left), len(hosts))
            remaining = self.options.timeout_s - (time.monotonic() - clock)
            if remaining <= 0:
                break
            wait(left, min(remaining, _TICK_S))
        late = Failure(kind="timeout", step="lookup", detail="the system gave no answer in time")
        return tuple(
            future.result()
            if future.done()
            else DnsObservation(
                id=f"dns.{host}",
                started=started,
                took_s=time.monotonic() - clock,
                outcome="failed",
                failure=late,
                asker="system",
                name=host,
            )
            for host, future in waiting.items()
        )

    def now(self, looked_up: Sequence[DnsObservation]) -> Iterator[Now]:
        """Every address that an endpoint has: by DNS, or because it is one."""
        addresses: Mapping[str, tuple[str, ...]] = {each.name: each.addresses for each in looked_up}
        for endpoint in self.options.endpoints:
            own = (endpoint.host,) if parse_address(endpoint.host) else addresses.get(endpoint.host, ())
            for address in own:
                yield Now(host=endpoint.host, port=endpoint.port, address=address)


def _check_order(previous: TagFile, file: TagFile) -> None:
    if previous.cloud != file.cloud:
        raise UsageError(f"{previous.path} is of the cloud {previous.cloud!r}, {file.path} of {file.cloud!r}")
    numbers = (previous.change_number, file.change_number)
    if all(number.isdigit() for number in numbers) and int(numbers[0]) > int(numbers[1]):
        raise UsageError(
            f"{previous.path} (change {numbers[0]}) is newer than {file.path} (change {numbers[1]}): swap them"
        )


def _age(date: str, now: float) -> int | None:
    """How many days ago that was."""
    if not date:
        return None
    try:
        then = time.mktime(time.strptime(date, "%Y-%m-%d"))
    except (ValueError, OverflowError):  # the 31st of February
        return None
    return max(int((now - then) // _DAY_S), 0)


def _plans(file: TagFile, options: AllowlistOptions) -> Iterator[_Plan]:
    """What is needed: the tags by name, those of the endpoints, else that of the integration runtime itself."""
    region = services.region_of(options.region)
    if region and region not in file.regions(services.DATA_FACTORY):
        _refuse_region(file, options.region)
    found: dict[tuple[str, int], _Plan] = {}
    for name in options.tags:
        tag = file.get(name)
        if tag is None:
            like = file.like(name)
            hint = f"; did you mean {' or '.join(like)}?" if like else ""
            raise UsageError(f"{file.path} has no service tag {name!r}{hint}")
        found.setdefault((tag.name, options.port), _plan(file, tag, options.port, "asked for by --tag"))
    for endpoint in options.endpoints:
        if parse_address(endpoint.host) is None:
            plan = _endpoint_plan(file, endpoint, region)
            key = (plan.tag.name if plan.tag else f"/{endpoint.host}", endpoint.port)
            found.setdefault(key, plan).hosts.append(endpoint.host)
    if not found and not options.endpoints:
        plan = _default_plan(file, options, region)
        found[plan.tag.name if plan.tag else "", plan.port] = plan
    yield from found.values()


def _refuse_region(file: TagFile, region: str) -> None:
    import difflib

    known = file.regions(services.DATA_FACTORY)
    if not known:
        raise UsageError(f"{file.path} has no tags by region for {services.DATA_FACTORY}")
    close = difflib.get_close_matches(services.region_of(region), known, n=3, cutoff=0.5) or known[:6]
    raise UsageError(
        f"{file.path} has no tag {services.DATA_FACTORY} for the region {region!r}; it has {', '.join(close)}"
    )


def _default_plan(file: TagFile, options: AllowlistOptions, region: str) -> _Plan:
    """Without a tag or an endpoint."""
    if options.ssis:
        tag, because = file.get(services.SSIS), "an Azure-SSIS integration runtime in a virtual network needs it"
    else:
        tag = file.regional(services.DATA_FACTORY, region)
        because = f"the region {region}" if region else "all regions, since none was named (--region, or an endpoint)"
    if tag is None:
        wanted = services.SSIS if options.ssis else services.DATA_FACTORY
        raise UsageError(f"{file.path} has no service tag {wanted} (--tag names another)")
    return _plan(file, tag, options.port, because)


def _plan(file: TagFile, tag: Tag, port: int, because: str) -> _Plan:
    service = services.service_of(tag.name)
    suffixes = [suffix for suffix, cloud in (service.suffixes if service else ()) if cloud == file.kind]
    return _Plan(
        tag=tag,
        port=port,
        region=tag.region,
        because=because,
        remark=service.remark if service else "",
        samples=tuple(f"any{suffix}" if suffix.startswith(".") else suffix for suffix in suffixes),
    )


def _endpoint_plan(file: TagFile, endpoint: Target, region: str) -> _Plan:
    """The tag of an endpoint's service, or the reason why none is known."""
    host, port = endpoint.host, endpoint.port
    known = services.belonging(host)
    if known is None:
        return _Plan(tag=None, port=port, because="Microsoft's list of service tags names none for it")
    if file.kind and known.cloud != file.kind:
        number = DOWNLOADS[known.cloud]
        raise UsageError(
            f"{host} is an address of the cloud {known.cloud!r}, and {file.path} holds the tags of {file.cloud!r} "
            f"(the other file is download {number})"
        )
    where = (region or known.region) if known.service.regional else ""
    tag = file.regional(known.service.tag, where)
    if tag is None:
        missing = f"{known.service.tag}{f' for the region {where}' if where else ''}"
        return _Plan(tag=None, port=port, because=f"the file has no tag {missing}")
    because = "the whole cloud, since its name tells no region" if not where else f"the region {where}"
    if known.strange and not where:
        because = f"all regions, since what {known.strange!r} stands for is not known (--region names it)"
    return _plan(file, tag, port, because)
