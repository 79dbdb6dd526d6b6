"""Known issues of the way from an integration runtime to the service, to data stores and through proxies."""

from __future__ import annotations

from netdiag.model import Culprit
from netdiag.rules.log_issue import Advice, LogText, endpoint, known_issue
from netdiag.rules.log_times import wait_words

_REGISTRATION = "log.cloud-service-unreachable"
_STORE = "log.data-store-unreachable"
_SYMPTOMS = (_REGISTRATION, _STORE)
#: Where the log does not name the address, the profile of the service does.
_PROFILE = "netdiag endpoint --profile adf:REGION tests every address that the service needs"


def _or_profile(text: LogText) -> str:
    return "" if text.place else f". {_PROFILE}"


@known_issue("log.proxy-authentication-required", "Log: the proxy wants a login", folds=_SYMPTOMS)
def proxy_login(text: LogText) -> Advice | None:
    r"""A proxy answered 407: it wants a login, and got none that it takes.

    The integration runtime sends the credentials that were set in Configuration Manager, or those
    of its service's account where useDefaultCredentials is set in diahost.exe.config and
    diawp.exe.config. A proxy that wants Windows' login (NTLM, Kerberos) knows no local account such
    as NT SERVICE\DIAHostService.

    Set a user for the proxy, or run the service under a domain account that may use it. netdiag
    endpoint HOST --proxy ... shows which schemes the proxy offers, and what comes of each.
    """
    if 407 not in text.seen.statuses and not text.says("Proxy Authentication Required"):
        return None
    return Advice(
        summary="The proxy wants a login that the integration runtime does not give",
        blame="proxy",
        remedy=(
            "Set the proxy's user in Configuration Manager, or let the service run under a domain "
            "account that may use it"
        )
        + _or_profile(text),
        commands=endpoint(text),
    )


@known_issue("log.proxy-name-not-resolved", "Log: the proxy's name cannot be resolved", folds=_SYMPTOMS)
def proxy_name(text: LogText) -> Advice | None:
    """The name of the proxy that is set cannot be resolved.

    .NET says "The proxy name could not be resolved". The setting is wrong or old, or DNS of this
    machine does not know it, as where a setting of the office is used elsewhere.

    Correct the proxy in Configuration Manager, or in diahost.exe.config and diawp.exe.config, and
    restart the service. netdiag dns NAME says what DNS answers.
    """
    if not text.says("proxy name could not be resolved"):
        return None
    place = text.place
    return Advice(
        summary=f"The proxy's name {place.host if place else ''} cannot be resolved".replace("  ", " "),
        blame="this-machine",
        remedy="Correct the proxy's name in Configuration Manager (or diahost.exe.config), and restart DIAHostService",
        commands=(("netdiag", "dns", place.host),) if place else (),
    )


@known_issue("log.proxy-forbidden", "Log: the proxy forbids the connection", folds=_SYMPTOMS)
def proxy_forbidden(text: LogText) -> Advice | None:
    """A proxy answered 403: its rules do not allow that address.

    The request reached the proxy, which refused it by itself; the service has never seen it. An
    allow-list without the service's names is the usual cause.

    Have the proxy allow the names that the portal lists under Nodes, View Service URLs. netdiag
    endpoint HOST shows whether the 403 is the proxy's or the service's.
    """
    if 403 not in text.seen.statuses or not text.says("proxy"):
        return None
    return Advice(
        summary=f"The proxy does not allow the connection to {text.where}",
        blame="proxy",
        remedy=f"Have the proxy allow {text.where if text.place else 'the names of the service'}{_or_profile(text)}",
        commands=endpoint(text),
    )


@known_issue("log.proxy-failed", "Log: the proxy could not reach the target", folds=_SYMPTOMS)
def proxy_failed(text: LogText) -> Advice | None:
    """A proxy answered 502, 503 or 504: it could not reach the target itself, or is overloaded.

    The name may not resolve at the proxy, a firewall behind it may drop the connection, or the
    proxy is out of order. The integration runtime can do nothing about any of these.

    Ask for the proxy's log at that time. netdiag endpoint HOST compares the direct way and the
    proxy's.
    """
    if not {502, 503, 504} & set(text.seen.statuses) or not text.says("proxy"):
        return None
    return Advice(
        summary=f"The proxy could not reach {text.where}",
        blame="proxy",
        remedy=f"Ask for the proxy's log at that time; it could not open the connection{_or_profile(text)}",
        commands=endpoint(text),
    )


@known_issue("log.name-not-resolved", "Log: a name cannot be resolved", folds=_SYMPTOMS)
def name(text: LogText) -> Advice | None:
    """A name that was to be connected to could not be resolved.

    11001 means that DNS says there is no such name, 11002 that name servers did not answer or
    failed, 11004 that the name has no address of that kind. The name may be mistyped, known to
    other name servers only (private DNS zones), or the firewall keeps this machine from its name
    servers.

    netdiag dns NAME asks the system, every name server and the hosts file, and says who is wrong.
    """
    said = text.says("remote name could not be resolved", "No such host is known")
    known = text.says("name or service not known", "getaddrinfo failed", "nodename nor servname provided")
    if text.is_node or not (said or known or text.code(11001, 11002, 11003, 11004, 12007)):
        return None
    place = text.place
    whose = f"The name {place.host}" if place else "A name"
    return Advice(
        summary=f"{whose} cannot be resolved on this machine",
        blame="dns",
        remedy=(
            "Check the name, and have this machine's name servers resolve it"
            + ("; a name of privatelink needs its private DNS zone" if "privatelink" in text.solid else "")
            + _or_profile(text)
        ),
        commands=(("netdiag", "dns", place.host),) if place else (),
    )


@known_issue("log.connection-forbidden-locally", "Log: this machine forbids the connection", folds=_SYMPTOMS)
def forbidden(text: LogText) -> Advice | None:
    """Windows itself refused to open, or to listen on, a connection (10013).

    A rule of Windows' firewall or of endpoint protection on this machine forbids it; for listening,
    the port may also be reserved (netsh interface ipv4 show excludedportrange tcp). The network has
    no part in it.

    Allow diahost.exe and diawp.exe outbound in the software that guards this machine.
    """
    if not text.code(10013) and not text.says("forbidden by its access permissions"):
        return None
    return Advice(
        summary=f"This machine itself forbids the connection to {text.where}",
        blame="this-machine",
        remedy="Allow diahost.exe and diawp.exe in Windows' firewall and in the endpoint protection of this machine",
        commands=endpoint(text),
    )


@known_issue("log.port-in-use", "Log: another program uses the port")
def port_in_use(text: LogText) -> Advice | None:
    """The port that the integration runtime wanted to listen on is in use already (10048).

    Between nodes that is 8060. Another program, or an older process of the integration runtime that
    has not ended, holds it, so that other nodes cannot connect.

    netstat -ano | findstr :8060 names the process. End it, or choose another port for all nodes:
    dmgcmd.exe -EnableRemoteAccess PORT.
    """
    if not text.code(10048) and not text.says("Only one usage of each socket address", "AddressAlreadyInUseException"):
        return None
    place = text.place
    port = f" {place.port}" if place and place.port else ""
    return Advice(
        summary=f"The port{port} that the integration runtime wants to listen on is in use by another program",
        blame="this-machine",
        remedy=(
            f"Find the process (netstat -ano | findstr :{port.strip() or '8060'}) and end it, or choose another port"
        ),
    )


@known_issue("log.no-route", "Log: there is no way to the address", folds=_SYMPTOMS)
def no_route(text: LogText) -> Advice | None:
    """There is no route to the address, or a router said that it cannot be reached (10051, 10065).

    This machine's routing, its VPN or a router nearby is at fault; or the address is one of IPv6,
    and this machine has none.

    netdiag endpoint HOST shows which addresses are tried and what each answers; netdiag trace
    HOST:PORT how far packets come.
    """
    said = text.says("attempted to an unreachable network", "attempted to an unreachable host", "No route to host")
    if not text.code(10050, 10051, 10065) and not said:
        return None
    return Advice(
        summary=f"There is no way from this machine to {text.where}",
        blame="local-network",
        remedy="Check this machine's routes, gateway and VPN; netdiag trace shows how far packets come",
        commands=endpoint(text),
    )


@known_issue("log.connection-refused", "Log: a connection was refused", folds=_SYMPTOMS)
def refused(text: LogText) -> Advice | None:
    """A connection was refused (10061): the machine, or a filter in its name, answered with a reset.

    Nobody listens on that port, or a firewall says so. Name and route are right. How long it took
    tells more: Windows tries a refused connection again for about 1 s or 2 s.

    netdiag endpoint HOST:PORT tries it now, and traces who refuses.
    """
    if text.is_node or not (text.code(10061, 1225) or text.says("actively refused it", "Connection refused (")):
        return None
    place = text.place
    return Advice(
        summary=f"The connection to {text.where} was refused",
        blame="server",
        remedy="Check that the service there runs and listens on that port, and that no firewall refuses it",
        details=wait_words(text),
        commands=endpoint(text),
        culprit=Culprit(address=place.address) if place and place.address else None,
    )


_CONNECTING = (
    "WebException",
    "HttpRequestException",
    "SocketException",
    "TaskCanceledException",
    "EndpointNotFoundException",
)


@known_issue("log.connection-timed-out", "Log: a connection got no answer", folds=_SYMPTOMS)
def timed_out(text: LogText) -> Advice | None:
    """A connection, or a request on it, got no answer (10060, 12002).

    When it was never opened (10060, after about 21 s on Windows), packets are dropped on the way: a
    firewall that lacks the rule. When it was open, a proxy or a firewall may swallow what follows,
    or the server was late.

    netdiag endpoint HOST tries each step, and traces where packets vanish.
    """
    said = text.says(
        "did not properly respond after a period of time", "established connection failed because connected host"
    )
    late = text.says("The operation has timed out", "The request timed out") and text.type(*_CONNECTING)
    if text.is_node or not (text.code(10060, 12002) or said or late) or text.code(10061):
        return None
    return Advice(
        summary=f"{text.where} did not answer" if text.place else "A connection got no answer",
        blame="path-device" if text.code(10060) or said else "unknown",
        remedy=f"Have the firewalls on the way allow it, by name for the service's own addresses{_or_profile(text)}",
        details=wait_words(text),
        commands=endpoint(text),
    )


@known_issue("log.connection-aborted-locally", "Log: this machine ended a connection", folds=_SYMPTOMS)
def aborted(text: LogText) -> Advice | None:
    """A connection was ended by software on this machine itself (10053).

    Endpoint protection or a local filter cuts connections like this; a network card that went away,
    or data that was never acknowledged, has the same number.

    Look at the log of this machine's endpoint protection at that time. netdiag endpoint HOST as
    administrator captures its own packets, and shows whether any reset came from outside.
    """
    if text.is_node or not (text.code(10053, 1236) or text.says("aborted by the software in your host machine")):
        return None
    return Advice(
        summary=f"Software on this machine ended the connection to {text.where}",
        blame="this-machine",
        remedy=(
            "Look at the log of this machine's endpoint protection at that time, and except diahost.exe and diawp.exe"
        ),
        commands=endpoint(text),
    )


@known_issue("log.connection-reset", "Log: an open connection was reset", folds=(*_SYMPTOMS, "log.tls-failed"))
def reset(text: LogText) -> Advice | None:
    """A connection was open, and was then reset or closed before the answer came (10054).

    The log cannot tell who did it: the server, or a device on the way in its name. When it happens
    right after the connection was opened, a firewall that filters by the names in TLS is the usual
    one; a test of the port alone then succeeds. The TTL of the reset tells, and only a capture has
    it.

    netdiag endpoint HOST sends the same name, compares it with others, and names the hop that
    resets. With a capture, netdiag pcap FILE says who sent it, and takes captures of both ends.
    """
    said = text.says(
        "forcibly closed by the remote host",
        "unexpected error occurred on a receive",
        "unexpected error occurred on a send",
        "connection was closed unexpectedly",
        "Connection reset by peer",
    )
    trust = text.says("trust relationship")
    if text.is_node or trust or not (said or text.code(10054, 12030)):
        return None
    return Advice(
        summary=f"The connection to {text.where} was cut after it had been opened",
        blame="unknown",
        remedy=(
            "Find out who sends the reset: netdiag endpoint names the hop, or capture on the node "
            "and at the firewall and "
            f"run netdiag pcap A --other B{_or_profile(text)}"
        ),
        commands=endpoint(text),
    )


@known_issue("log.data-store-unreachable", "Log: a data store cannot be reached")
def store(text: LogText) -> Advice | None:
    """A copy could not connect to a data store, such as SQL Server, and says no more than that.

    The store is off, its port is blocked on the way, its name is wrong, or (SQL Server) TCP is not
    enabled in its network configuration. The integration runtime must reach the store itself: no
    cloud service does it instead.

    netdiag endpoint tcp://HOST:1433 from the node tells refused, silent and reset apart. For named
    instances the SQL Server Browser (UDP 1434) must be reachable too.
    """
    said = text.matches(
        r"cannotconnectto(?:sqlserver|[a-z]{3,20}server|thedatabase|oracle|mysql|postgresql|db2|teradata|saphana)"
    )
    network = text.says("A network-related or instance-specific error", "UserErrorFailedToConnectTo")
    if not (said or network):
        return None
    return Advice(
        summary=f"The data store at {text.where} cannot be reached" if text.place else "A data store cannot be reached",
        blame="unknown",
        remedy="Check from this node that the store's port is open, that its name resolves, and that it listens on TCP",
        commands=endpoint(text, port=1433)
        if "sqlserver" in text.solid or "instance-specific" in text.solid
        else endpoint(text),
    )


@known_issue("log.cloud-service-unreachable", "Log: the node cannot connect to the cloud service")
def cloud(text: LogText) -> Advice | None:
    """The node cannot connect to, or register with, the service in Azure, and the text does not say why.

    Mostly a firewall or a proxy on the way is to blame. A connection test of the port alone says
    little: firewalls that filter by name let the connection open, and cut it when the name comes.
    Some addresses that are needed are missing from lists, such as
    REGION.configuration.dataproxy.clouddatahub.net: the portal's Nodes tab, View Service URLs,
    names all of them.

    Look whether the service DIAHostService runs. Then netdiag endpoint --profile adf:REGION tests
    every address step by step; --proxy does so as the integration runtime would.
    """
    said = text.says(
        "has encountered an error during registration",
        "Unable to connect to the remote server",
        "cannot connect to the cloud service",
        "can't connect to the cloud service",
        "Failed to connect to the cloud service",
    )
    if text.is_node or not said:
        return None
    return Advice(
        summary=f"The integration runtime could not connect to {text.where if text.place else 'the service in Azure'}",
        blame="unknown",
        remedy="Test the service's addresses from this machine, with the proxy that is set"
        + ("" if text.place else f": {_PROFILE} (the portal's Nodes tab, View Service URLs, names the region)"),
        commands=endpoint(text),
    )
