"""One run against one target: this machine, the ways, the judgement, the report."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import Future

import msgspec

from netdiag.model import DnsObservation, HostObservation, Report, Route
from netdiag.probes import proxy_selection
from netdiag.probes.hosts import hosts_entries
from netdiag.probes.identity import identity
from netdiag.probes.net import Step
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.probes.threads import spawn
from netdiag.session.context import Context
from netdiag.session.judgement import describe, judge
from netdiag.session.options import RUN_LIMIT_S
from netdiag.session.resolution import SHARED_SILENCE_S
from netdiag.session.target import is_address
from netdiag.session.way import Way

#: How long the way that no application takes is given after the other has arrived.
OTHER_WAY_GRACE_S = 0.25


#: How long this machine's own name and settings are looked for, which the way to another node does not need.
_MYSELF_S = 1.0
NO_PROXY_BETWEEN = "net.tcp uses none"


class Run:
    """Diagnoses one target. ``report`` blocks; ``cancel`` makes it return what there is."""

    def __init__(self, context: Context, command: str) -> None:
        self._context = context
        self._command = command
        self._started = time.time()
        self._start = time.monotonic()
        self._cancelled = threading.Event()
        self._route: Route = "direct"
        self._falls_back = False
        self._ways: tuple[Way, ...] = ()

    def cancel(self) -> None:
        """End soon: the report then holds what was seen so far."""
        self._cancelled.set()
        for way in self._ways:
            way.done.set()

    def report(self) -> Report:
        """Climb the ladder on every way that there is, judge, and report. Never raises for trouble on the network."""
        context = self._context
        try:
            self._climb()
        except Exception as error:  # noqa: BLE001 - the one place where a bug goes into the report (DESIGN, Errors)
            context.log.error(describe(error))
        observations, not_run, errors = context.log.close()
        for way in self._ways:
            way.close()
        try:
            observations = context.recording.add(observations, self._started)
        except Exception as error:  # noqa: BLE001 - a bug costs what the packets tell, not the report
            errors += (describe(error),)
        return judge(
            context.target,
            command=self._command,
            route=self._route,
            last_rung=context.last_rung,
            started=self._started,
            took_s=time.monotonic() - self._start,
            observations=observations,
            not_run=not_run,
            internal_errors=errors,
            machine=context.machine.described() if context.options.name_machine else None,
        )

    def _climb(self) -> None:
        context = self._context
        context.progress(context.target, "machine")
        if context.target.scheme == "net.tcp":
            myself = self._look_at_myself()
            proxies: tuple[ProxyServer, ...] = ()
        else:
            myself, proxies = None, self._select_proxy()
        localhost = self._look_at_names()
        direct = Way(context, effective=not proxies)
        if proxies:
            self._route = "proxy"
            self._ways = (Way(context, proxies), direct)
        else:
            self._ways = (direct,)
        effective, *others = self._ways
        for way in self._ways:
            spawn(way.walk)
        if self._cancelled.is_set():  # between the two lines above
            self.cancel()
        effective.done.wait(context.deadline.remaining())
        for other in others:
            other.done.wait(OTHER_WAY_GRACE_S if effective.arrived else context.deadline.remaining())
        if self._falls_back and not effective.arrived and effective.rung in ("dns", "tcp"):
            self._route = "direct"  # no proxy could be reached, and the PAC script then says DIRECT
        for way in self._ways:
            if self._cancelled.is_set():
                way.cut("the run was interrupted", interrupted=True)
            elif way is effective:
                way.cut(f"a run ends after {RUN_LIMIT_S:.0f} s")
            else:
                way.cut("the other way had its result, so this was not awaited")
        if myself:
            context.log.add(myself.result(timeout=2 * _MYSELF_S))
        if localhost:
            with contextlib.suppress(TimeoutError):  # a resolver that hangs shows in the target's own lookup
                context.log.add(localhost.result(timeout=SHARED_SILENCE_S))

    def _select_proxy(self) -> tuple[ProxyServer, ...]:
        context, options = self._context, self._context.options
        selection, proxies = proxy_selection.select(
            context.machine,
            context.target,
            options.proxy,
            Step("machine.proxy"),
            deadline=context.wait(),
            credentials=options.credentials,
        )
        self._falls_back = context.log.add(selection).falls_back
        return proxies

    def _look_at_myself(self) -> Future[HostObservation] | None:
        """Who this node is, and that a proxy, if one is set, is not on its way to another node: net.tcp uses none."""
        context = self._context
        myself: Future[HostObservation] | None = None
        if context.options.name_machine:
            patience = context.deadline.within(_MYSELF_S)
            myself = spawn(lambda: identity(context.machine, Step("machine.host"), patience))
        web = msgspec.structs.replace(context.target, scheme="https")
        step = Step("machine.proxy")
        wait = context.deadline.within(_MYSELF_S)
        setting, _ = proxy_selection.select(context.machine, web, context.options.proxy, step, deadline=wait)
        said = f"{setting.because} names {', '.join(setting.proxies)}" if setting.proxies else ""
        context.log.add(
            msgspec.structs.replace(
                setting,
                outcome="ok",
                failure=None,
                proxies=(),
                falls_back=False,
                because=NO_PROXY_BETWEEN,
                setting=said,
            )
        )
        return myself

    def _look_at_names(self) -> Future[DnsObservation] | None:
        """What the hosts file says of the target, and whether localhost is sane (guide: registration fails without)."""
        context = self._context
        if not is_address(context.target.host):
            context.log.add(hosts_entries(context.machine, context.target.host, Step("dns.hosts-file")))
        return None if context.target.host == "localhost" else context.localhost
