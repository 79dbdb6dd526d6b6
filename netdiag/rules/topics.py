"""What ``explain`` knows beside findings: topics of the guide that are no fault; the guide's headings as search keys.

Contract: a topic is text only. Headings are those of the troubleshooting guide for the self-hosted integration runtime,
so that whoever comes from there finds the place; everything else is in our own words.
"""

from __future__ import annotations

import inspect

import msgspec


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One entry; ``words`` are those that people look for it by."""

    id: str
    title: str
    explanation: str
    words: str = ""
    reference: str = ""


TOPICS: dict[str, Topic] = {}


def _topic(identifier: str, title: str, text: str, *, words: str = "", reference: str = "") -> None:
    explanation = inspect.cleandoc(text)
    TOPICS[identifier] = Topic(id=identifier, title=title, explanation=explanation, words=words, reference=reference)


_topic(
    "gather-logs",
    "Where an integration runtime's logs are, and what support asks for",
    r"""
    A failed activity: in the portal under Monitor, Pipeline runs, Activity runs, the button in the column
    Error shows the error; copy its text, and give it to netdiag log as it is (netdiag log - takes it from
    the clipboard through a pipe). Send logs there uploads the logs of every node that is online to
    Microsoft, and answers with a report id: keep it, support asks for it. A shared integration runtime
    sends only what concerns that activity; nodes that are offline send nothing.

    On a node: Event Viewer, Applications and Services Logs, Integration Runtime; and Windows Logs,
    Application and System (SChannel writes there). Save All Events As writes .evtx, .xml, .csv or text,
    and netdiag log reads each of them:

        netdiag log IntegrationRuntime.evtx System.evtx

    It lists the activity ids, report ids, times and nodes that it finds.
    """,
    words="report id error report send logs share logs microsoft event viewer activity id collect",
)
_topic(
    "register-button",
    "Configuration Manager shows no Register button",
    r"""
    Since version 3.0 a node that was registered once cannot be registered with another integration
    runtime, whether it is online or not: the button is gone on purpose, so that no data of the old one stay.

    To move the node: remove the integration runtime in Windows' list of programs and answer Yes when asked
    whether to delete its user data (with No the old registration stays). Then install it again, from the
    download centre (microsoft.com/download, id 39717), and register it with the key of the new one.
    """,
    words="cannot can't find missing register again re-register uninstall delete user data move node",
)
_topic(
    "proxy-considerations",
    "What to check at a proxy",
    r"""
    The proxy must be reachable, must allow the service's names, and must get a login that it takes; and
    where it opens TLS, its authority must be trusted by the computer, not only by a user. An integration
    runtime goes without a proxy unless Configuration Manager, or defaultProxy in diahost.exe.config and
    diawp.exe.config, says otherwise. For a proxy that takes Windows' login only, its service must run under
    a domain account.

        netdiag endpoint HOST --proxy http://proxy:8080 --proxy-user USER

    tries both ways side by side. It ends in proxy.unreachable, proxy.authentication-required,
    proxy.forbidden, proxy.cannot-reach-target or tls.intercepted, and names who must change what.
    """,
    words="proxy considerations authentication ntlm kerberos basic safe recipients webproxy",
)
_topic(
    "url-retrieval",
    "AIA, CDP and OCSP: what Retrieve and Verified mean in certutil -URL",
    r"""
    A certificate names where its issuer's certificate (AIA), its revocation list (CDP) and its responder
    (OCSP) are. The window that certutil -URL FILE opens fetches these when Retrieve is pressed, and says
    Verified for each that came and fits. One address of each kind is enough: HTTP or LDAP.

        netdiag cert FILE

    fetches all of them, of every certificate in the chain, and prints each with its status. Give the
    addresses that fail to the network team: the machine that checks the certificate must reach one of each
    kind (port 80, or LDAP 389), also under the account of the service.
    """,
    words="certutil urlfetch retrieve verified aia cdp ocsp crl url retrieval tool",
)
_topic(
    "ttl-table",
    "Initial TTLs by operating system",
    """
    Every router lowers the TTL (hop limit) of a packet by one. From the value that arrives one can tell
    the value that it was sent with, and so which kind of system sent it:

        64   Linux since 2.6 and today's kernels, macOS, BSD, Android, iOS
        128  Windows since XP: 7, 8, 10, 11, Server 2008 to 2022
        255  many routers and firewalls, Solaris, Linux 2.4 (2001)
        32   very old Windows (95, NT), some devices

    The next larger of these is the initial value: 61 came from 64, 107 from 128. The value is a hint and
    no proof: devices may copy the TTL of the packet that they answer, and the ways there and back differ
    by a few hops. netdiag compares the TTL of a reset with that of the other packets from the same address,
    and takes three hops or more for another sender.
    """,
    words="default ttl hop limit time to live values operating systems linux windows macos initial",
    reference="RFC 1122 section 3.2.1.7; packetpushers.net/ip-time-to-live-and-hop-limit-basics; p0f 3 (p0f.fp)",
)
_topic(
    "hop-arithmetic",
    "From the TTL of a reset to the hop that sent it",
    """
    Initial TTL minus the TTL that arrived is the number of routers in between. A reset with TTL 61 was sent
    with 64 and passed three routers, so its sender is the fourth hop from here. If the server's own packets
    arrive with 107, they were sent with 128 by a Windows system 21 routers away: the reset is not from the
    server, but from something with 64 (Linux) much nearer.

        64 - 61 = 3 routers, so the fourth hop       128 - 107 = 21 routers

    netdiag pcap FILE does this for each reset, and netdiag endpoint HOST and netdiag trace HOST name the
    address of that hop. Ask its owner what the device logged at that time.
    """,
    words="fourth hop 64 61 128 107 21 hops ttl reset sender count distance",
)
_topic(
    "two-captures",
    "Captures from the node and from the firewall",
    """
    A capture of one place shows that a reset came, and from how far; captures of two places show on which
    side of the firewall it first appears. Capture on the node and on the firewall (each side of it, if it
    can) at the same time, until the fault occurs.

        netdiag pcap node.pcapng --other firewall.pcapng

    compares them packet by packet, also through address translation, with clocks that differ. What is in
    one and not in the other was made, or was lost, in between.
    """,
    words="netmon trace from both firewall and self-hosted ir unsure where to investigate network team",
)
_topic(
    "netmon-trace",
    "Taking a network trace, and reading it",
    """
    On Windows, as administrator: netsh trace start capture=yes tracefile=C:\\Temp\\node.etl, then the fault,
    then netsh trace stop. Or pktmon start --capture, pktmon stop. Wireshark and the old Network Monitor do as
    well. netdiag pcap reads all of them (.etl, .cap, .pcap, .pcapng).

    Network Monitor's words: SynReTransmit is a SYN that was sent again because nothing answered; Windows
    sends two or four of them and gives up after 21 s. The filter IPv4.Address == 8.8.8.8 is --host 8.8.8.8. A
    connection opens with three packets (SYN, SYN-ACK, ACK) and closes with four (FIN, ACK, FIN, ACK).

        netdiag pcap node.etl --host 8.8.8.8 --port 888

    draws the connections packet by packet, and says who ended each of them, and how.
    """,
    words="network monitor wireshark synretransmit telnet 3-way handshake 4 handshake capture analyze collect filter",
)
_topic(
    "address-notice",
    "A notice that the service gets new addresses: are you affected?",
    """
    Only those are affected whose firewall allows the service by its IP addresses. Rules by names (FQDN) and
    rules by service tags (DataFactory, DataFactory.REGION) follow by themselves.

    - A node behind a company's firewall: affected if the rules list addresses.
    - A node, or an SSIS integration runtime, in an Azure network: affected if outbound rules of the network
      security group list addresses; not if there are none, or if they name the service tag.

    If you are affected, take the new prefixes from the file of service tags that Microsoft publishes each
    week (download id 56519), and keep doing so. netdiag allowlist compares rules with such a file.
    """,
    words="email notification updating network configuration 8 november 2020 ip addresses service tags allowlist nsg",
)

#: Heading of the guide -> the finding or topic that stands for it.
HEADINGS: dict[str, str] = {
    "Gather self-hosted IR logs": "gather-logs",
    "Out of memory issue": "log.out-of-memory",
    "Concurrent jobs limit issue": "log.concurrent-jobs-limit",
    "Self-hosted IR high availability (HA) SSL certificate issue": "log.revocation-offline",
    "AIA, CDP, OCSP: Retrieve / Verified": "url-retrieval",
    "Self-hosted IR could not load file or assembly": "log.assembly-missing",
    "Self-hosted integration runtime Authentication Key is missing": "log.authentication-key-missing",
    "Can't use self-hosted IR to bridge two on-premises datastores": "log.driver-not-on-destination",
    "Credential sync issue causes credential loss from HA": "log.credential-sync-lost",
    "Can't choose the certificate because the private key is missing": "log.key-not-for-exchange",
    "Self-hosted integration runtime nodes out of the sync issue": "log.private-key-access-denied",
    "UserErrorJreNotFound error message when you run a copy activity to Azure": "log.java-runtime-missing",
    "Integration runtime registration error": "log.host-service-unreachable",
    "Can't find the Register button to register a self-hosted IR": "register-button",
    "Unable to register the self-hosted IR because of localhost": "log.localhost-lookup-failed",
    "Self-hosted setup failed": "log.setup-failed",
    "The IR service account failed to fetch certificate access": "log.key-in-ksp",
    "Self-hosted integration runtime version 5.x": "log.dotnet-too-old",
    "Self-hosted integration runtime can't connect to the cloud service": "log.cloud-service-unreachable",
    "Proxy considerations": "proxy-considerations",
    'Error message: Self-hosted integration runtime node/logical self-hosted IR is in Inactive/ "Running (Limited)" '
    "state": "log.node-refused",
    "Connectivity issue between the self-hosted IR and your data factory or Azure Synapse instance or the self-hosted "
    "IR and the data source or sink": "log.connection-reset",
    "Default TTL and Hop Limit values": "ttl-table",
    "Hop arithmetic": "hop-arithmetic",
    "Captures from the node and from the firewall": "two-captures",
    "Analyze the Netmon trace": "netmon-trace",
    "Microsoft email notification about updating your network configuration": "address-notice",
    "Couldn't establish a trust relationship for the SSL/TLS secure channel": "log.trust-relationship-failed",
}
