"""Error texts: those of the troubleshooting guide for the self-hosted integration runtime, word for word, and others.

Each case says which finding the text must give, and which facts.
"""

from __future__ import annotations

import html
import json
import textwrap
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """``facts``: what the finding's summary, details or commands must hold. ``host``: a name that may be another."""

    id: str
    text: str
    facts: tuple[str, ...] = ()
    host: str = ""
    command: tuple[str, ...] = ()
    #: The text is known by English words alone, so that nothing else is expected of it.
    name: str = field(default="")


GUIDE = (
    Case(
        "log.out-of-memory",
        "An OutOfMemoryException (OOM) error occurs when you try to run a lookup activity with a linked IR or a "
        "self-hosted IR.",
        ("memory",),
    ),
    Case(
        "log.concurrent-jobs-limit",
        "When you try to increase the concurrent jobs limit from UI, the process hangs in *Updating* status.",
        ("3 to 32",),
    ),
    Case(
        "log.revocation-offline",
        "Failed to pull shared states from primary node "
        "net.tcp://abc.cloud.corp.Microsoft.com:8060/ExternalService.svc/. "
        "Activity ID: XXXXX The X.509 certificate CN=abc.cloud.corp.Microsoft.com, OU=test, O=Microsoft chain building "
        "failed. The certificate that was used has a trust chain that cannot be verified. Replace the certificate or "
        "change the certificateValidationMode. The revocation function was unable to check revocation because the "
        "revocation server was offline.",
        ("CN=abc.cloud.corp.Microsoft.com, OU=test, O=Microsoft",),
        host="abc.cloud.corp.Microsoft.com",
        command=("netdiag", "node", "abc.cloud.corp.Microsoft.com:8060"),
    ),
    Case(
        "log.assembly-missing",
        "Could not load file or assembly 'XXXXXXXXXXXXXXXX, Version=4.0.2.0, Culture=neutral, "
        "PublicKeyToken=XXXXXXXXX' "
        "or one of its dependencies. The system cannot find the file specified. Activity ID: "
        "92693b45-b4bf-4fc8-89da-2d3dc56f27c3",
        ("XXXXXXXXXXXXXXXX version 4.0.2.0", "Gateway", "92693b45-b4bf-4fc8-89da-2d3dc56f27c3"),
        name="assembly",
    ),
    Case(
        "log.assembly-missing",
        "Could not load file or assembly 'System.ValueTuple, Version=4.0.2.0, Culture=neutral, "
        "PublicKeyToken=XXXXXXXXX' or one of its dependencies. The system cannot find the file specified. Activity ID: "
        "92693b45-b4bf-4fc8-89da-2d3dc56f27c3",
        ("System.ValueTuple version 4.0.2.0", "System.ValueTuple.dll", "DataScan", "Shared", "GAC"),
        name="value-tuple",
    ),
    Case(
        "log.assembly-missing",
        r'"\<LogProperties>\<ErrorInfo>[{"Code":0,"Message":"The type initializer for '
        '\'Npgsql.PoolManager\' threw an exception.","EventType":0,"Category":5,"Data":{},"MsgId":null,'
        '"ExceptionType":"System.TypeInitializationException","Source":"Npgsql","StackTrace":"","InnerEventInfos":'
        '[{"Code":0,"Message":"Could not load file or assembly \'System.ValueTuple, Version=4.0.2.0, '
        "Culture=neutral, PublicKeyToken=XXXXXXXXX' or one of its dependencies. The system cannot find the file "
        'specified.","EventType":0,"Category":5,"Data":{},"MsgId":null,"ExceptionType":'
        '"System.IO.FileNotFoundException","Source":"Npgsql","StackTrace":"","InnerEventInfos":[]}]}]'
        r'\</ErrorInfo>\</LogProperties>"',
        ("System.ValueTuple version 4.0.2.0",),
        name="log-properties",
    ),
    Case("log.authentication-key-missing", "Authentication Key is not assigned yet", ("Configurations",)),
    Case(
        "log.driver-not-on-destination",
        "The driver of source cannot be found in destination IR",
        ("both",),
        name="driver",
    ),
    Case(
        "log.driver-not-on-destination",
        "The source cannot be accessed by the destination IR",
        ("both stores",),
        name="source",
    ),
    Case(
        "log.credential-sync-lost",
        "When you delete the link service on Azure portal, or the task has the wrong payload, please create new link "
        "service with your credential again.",
        ("credentials",),
    ),
    Case(
        "log.key-not-for-exchange",
        "Failed to change intranet communication encryption mode. It is likely that certificate 'CN=node1.contoso.com' "
        "may not have a private key that is capable of key exchange or the process may not have access rights for the "
        "private key. Please see inner exception for detail.",
        ("CN=node1.contoso.com", "AT_KEYEXCHANGE"),
        host="node1.contoso.com",
    ),
    Case(
        "log.credential-sync-pending",
        "The Integration Runtime (Self-hosted) node is trying to sync the credentials across nodes. "
        "It may take several "
        "minutes.",
        ("ten minutes",),
    ),
    Case(
        "log.private-key-access-denied",
        "[14]0460.3404::0../21-00:23:32.2107988 [System] A fatal error occurred when attempting to "
        "access the TLS server "
        "credential private key. The error code returned from the cryptographic module is "
        "0x8009030D. The internal error "
        "state is 10001.",
        ("0x8009030D", "NT SERVICE\\DIAHostService"),
    ),
    Case(
        "log.java-runtime-missing",
        "ErrorCode=UserErrorJreNotFound,'Type=Microsoft.DataTransfer.Common.Shared.HybridDeliveryException,"
        "Message=Java "
        "Runtime Environment is not found. Go to `http://go.microsoft.com/fwlink/?LinkId=808605` to "
        "download and install "
        "on your Integration Runtime (Self-hosted) node machine. Note 64-bit Integration Runtime "
        "requires 64-bit JRE and "
        "32-bit Integration Runtime requires 32-bit JRE.,Source=Microsoft.DataTransfer.Common,''Type=System."
        "DllNotFoundException,Message=Unable to load DLL 'jvm.dll': The specified module could not "
        "be found. (Exception "
        "from HRESULT: 0x8007007E),Source=Microsoft.DataTransfer.Richfile.HiveOrcBridge",
        ("Java", "JavaHome", "jvm.dll", "64-bit"),
    ),
    Case(
        "log.host-service-unreachable",
        "The Integration Runtime (Self-hosted) node has encountered an error during registration. "
        "Cannot connect to the "
        "Integration Runtime (Self-hosted) Host Service.",
        ("DIAHostService",),
    ),
    Case(
        "log.service-account-rights",
        "System.UnauthorizedAccessException: Access to the path 'C:\\ProgramData\\Microsoft\\DataTransfer"
        "\\DataManagementGateway\\Configurations' is denied.",
        ("DataManagementGateway", "dmgcmd.exe -SwitchServiceAccount"),
    ),
    Case(
        "log.service-start-failed",
        "Service 'Integration Runtime Service' (DIAHostService) failed to start. Verify that you have sufficient "
        "privileges to start system services.",
        ("Log on as a service",),
    ),
    Case(
        "log.localhost-lookup-failed",
        "A runtime error has occurred.\nThe type initializer for 'Microsoft.DataTransfer.DIAgentHost.DataSourceCache' "
        "threw an exception.\nA non-recoverable error occurred during a database lookup.",
        ("127.0.0.1 localhost",),
        command=("netdiag", "dns", "localhost"),
        name="debug",
    ),
    Case(
        "log.localhost-lookup-failed",
        "System.TypeInitializationException: The type initializer for 'Microsoft.DataTransfer.DIAgentHost."
        "DataSourceCache' threw an exception. ---> System.Net.Sockets.SocketException: A "
        "non-recoverable error occurred "
        "during a database lookup at System.Net.Dns.GetAddrInfo(String name).",
        ("127.0.0.1 localhost",),
        command=("netdiag", "dns", "localhost"),
        name="exception",
    ),
    Case(
        "log.setup-failed",
        "Product: Microsoft Integration Runtime -- Installation failed. Installation success or error status: 1603.",
        ("1603", "setup.log"),
    ),
    Case(
        "log.key-in-ksp",
        "Failed to change Intranet communication encryption mode: Failed to grant Integration "
        "Runtime service account the "
        "access of to the certificate 'CN=node1.contoso.com'. Error code 103",
        ("CN=node1.contoso.com", "key storage provider"),
        host="node1.contoso.com",
    ),
    Case(
        "log.dotnet-too-old",
        "For the upgrade to version 5.x of the self-hosted integration runtime, we require .NET "
        "Framework Runtime 4.7.2 or "
        "later.",
        ("4.7.2",),
    ),
    Case(
        "log.factory-version-unsupported",
        "Self-hosted integration runtime 5.x doesn't support Azure Data Factory v1.",
        ("version 4",),
    ),
    Case(
        "log.cloud-service-unreachable",
        "The Integration Runtime (Self-hosted) node has encountered an error during registration.",
        ("netdiag endpoint --profile adf:REGION",),
    ),
    Case(
        "log.name-not-resolved",
        'Exception calling "DownloadString" with "1" argument(s): "The remote name could not be resolved: '
        "'wu2.frontend.clouddatahub.net'\"",
        ("wu2.frontend.clouddatahub.net",),
        host="wu2.frontend.clouddatahub.net",
        command=("netdiag", "dns", "wu2.frontend.clouddatahub.net"),
    ),
    Case(
        "log.node-refused",
        "System.ServiceModel.EndpointNotFoundException: Could not connect to net.tcp://xxxxxxx.bwld.com:8060/"
        "ExternalService.svc/WorkerManager. The connection attempt lasted for a time span of "
        "00:00:00.9940994. TCP error "
        "code 10061: No connection could be made because the target machine actively refused it 10.2.4.10:8060. \n"
        "System.Net.Sockets.SocketException: No connection could be made because the target machine "
        "actively refused it. \n"
        "10.2.4.10:8060\n"
        "at System.Net.Sockets.Socket.DoConnect(EndPoint endPointSnapshot, SocketAddress socketAddress)\n"
        "at System.Net.Sockets.Socket.Connect(EndPoint remoteEP)\n"
        "at System.ServiceModel.Channels.SocketConnectionInitiator.Connect(Uri uri, TimeSpan timeout)",
        ("xxxxxxx.bwld.com:8060", "10.2.4.10", "0.99 s", "real reset"),
        host="xxxxxxx.bwld.com",
        command=("netdiag", "node", "xxxxxxx.bwld.com:8060"),
    ),
    Case(
        "log.node-name-unknown",
        "Error log: Cannot connect to worker manager: net.tcp://xxxxxx:8060/ExternalService.svc/ No "
        "DNS entries exist for "
        "host azranlcir01r1. No such host is known Exception detail: "
        "System.ServiceModel.EndpointNotFoundException: No DNS "
        "entries exist for host xxxxx. ---> System.Net.Sockets.SocketException: No such host is "
        "known at System.Net.Dns."
        "GetAddrInfo(String name) at System.Net.Dns.InternalGetHostByName(String hostName, Boolean "
        "includeIPv6) at System."
        "Net.Dns.GetHostEntry(String hostNameOrAddress) at "
        "System.ServiceModel.Channels.DnsCache.Resolve(Uri uri) --- End "
        "of inner exception stack trace --- Server stack trace: at "
        "System.ServiceModel.Channels.DnsCache.Resolve(Uri uri)",
        ("xxxxxx", "hosts file"),
        host="xxxxxx",
        command=("netdiag", "node", "xxxxxx:8060"),
    ),
    Case(
        "log.data-store-unreachable",
        "Copy failed with "
        "error:Type=Microsoft.DataTransfer.Common.Shared.HybridDeliveryException,Message=Cannot connect to "
        "SQL Server: '10.9.8.7'",
        ("10.9.8.7",),
        command=("netdiag", "endpoint", "tcp://10.9.8.7:1433"),
    ),
    Case(
        "log.connection-reset",
        "One or more errors occurred. An error occurred while sending the request. The underlying "
        "connection was closed: An "
        "unexpected error occurred on a receive. Unable to read data from the transport connection: "
        "An existing connection "
        "was forcibly closed by the remote host. An existing connection was forcibly closed by the "
        "remote host Activity ID.",
        ("netdiag pcap",),
    ),
    Case(
        "log.trust-relationship-failed",
        "The underlying connection was closed: Could not establish trust relationship for the "
        "SSL/TLS secure channel. The "
        "remote certificate is invalid according to the validation procedure.",
        ("DigiCert Global Root G2",),
    ),
)

#: What the guide does not quote: FACTS 1.5 and 5, other known texts of .NET and Windows, and other languages.
OTHERS = (
    Case("log.authentication-key-invalid", "The Authentication key is invalid or empty.", ("key",)),
    Case(
        "log.public-access-disabled",
        "Cannot connect to the data factory. Please check whether the factory has enabled public network access or the "
        "machine is hosted in a approved private endpoint Virtual Network. The Authentication key is invalid or empty.",
        ("privatelink.datafactory.azure.net",),
        name="message",
    ),
    Case(
        "log.public-access-disabled",
        "InvalidGatewayKey: Client IP address isn't valid private ip",
        ("private",),
        name="private-ip",
    ),
    Case(
        "log.proxy-authentication-required",
        "System.Net.WebException: The remote server returned an error: (407) Proxy Authentication Required. Request: "
        "https://eu.frontend.clouddatahub.net/api",
        ("domain account",),
        host="eu.frontend.clouddatahub.net",
        command=("netdiag", "endpoint", "eu.frontend.clouddatahub.net:443"),
    ),
    Case(
        "log.proxy-name-not-resolved",
        "System.Net.WebException: The proxy name could not be resolved: 'proxy.contoso.com'",
        ("proxy.contoso.com",),
        host="proxy.contoso.com",
        command=("netdiag", "dns", "proxy.contoso.com"),
    ),
    Case(
        "log.proxy-forbidden",
        "The proxy tunnel request to proxy 'http://proxy.contoso.com:8080/' failed with status code '403'.",
        ("allow",),
    ),
    Case(
        "log.proxy-failed",
        "The proxy tunnel request to proxy 'http://proxy.contoso.com:8080/' failed with status code '503'.",
        ("proxy's log",),
    ),
    Case(
        "log.connection-refused",
        "System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No "
        "connection could be made because the target machine actively refused it 10.1.2.3:443",
        ("10.1.2.3:443",),
        command=("netdiag", "endpoint", "10.1.2.3:443"),
    ),
    Case(
        "log.connection-timed-out",
        "System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: A "
        "connection attempt failed because the connected party did not properly respond after a period of time, or "
        "established connection failed because connected host has failed to respond 20.42.132.5:443",
        ("20.42.132.5:443",),
        command=("netdiag", "endpoint", "20.42.132.5:443"),
    ),
    Case(
        "log.connection-aborted-locally",
        "System.Net.Sockets.SocketException (0x80004005): An established connection was aborted by "
        "the software in your "
        "host machine",
        ("endpoint protection",),
    ),
    Case(
        "log.connection-forbidden-locally",
        "System.Net.Sockets.SocketException (10013): An attempt was made to access a socket in a way forbidden by its "
        "access permissions. 10.1.2.3:443",
        ("10.1.2.3:443", "firewall"),
    ),
    Case(
        "log.no-route",
        "System.Net.Sockets.SocketException (10051): A socket operation was attempted to an unreachable network. "
        "[2603:1030:c06::5]:443",
        ("2603:1030:c06::5",),
        command=("netdiag", "endpoint", "[2603:1030:c06::5]:443"),
    ),
    Case(
        "log.port-in-use",
        "System.ServiceModel.AddressAlreadyInUseException: There is already a listener on IP "
        "endpoint 0.0.0.0:8060. ---> "
        "System.Net.Sockets.SocketException: Only one usage of each socket address (protocol/network address/port) is "
        "normally permitted",
        ("8060",),
    ),
    Case(
        "log.certificate-chain-failed",
        "System.IdentityModel.Tokens.SecurityTokenValidationException: The X.509 certificate "
        "CN=node2.contoso.com chain "
        "building failed. The certificate that was used has a trust chain that cannot be verified. A certificate chain "
        "could not be built to a trusted root authority.",
        ("CN=node2.contoso.com",),
        host="node2.contoso.com",
    ),
    Case(
        "log.certificate-revoked",
        "The certificate is revoked. 0x80092010 (-2146885616 CRYPT_E_REVOKED)",
        ("revoked",),
    ),
    Case(
        "log.certificate-expired",
        "A required certificate is not within its validity period when verifying against the current system clock. "
        "0x800b0101 (-2146762495 CERT_E_EXPIRED)",
        ("clock",),
    ),
    Case(
        "log.certificate-name-mismatch",
        "The remote certificate is invalid according to the validation procedure: RemoteCertificateNameMismatch",
        ("another name",),
    ),
    Case(
        "log.tls-no-common-algorithm",
        "System.ComponentModel.Win32Exception (0x80090331): The client and server cannot "
        "communicate, because they do not "
        "possess a common algorithm",
        ("TLS 1.2",),
    ),
    Case(
        "log.not-tls",
        "System.IO.IOException: The handshake failed due to an unexpected packet format.",
        ("speak TLS",),
    ),
    Case(
        "log.tls-failed",
        "System.Net.WebException: The request was aborted: Could not create SSL/TLS secure channel.",
        ("TLS",),
    ),
    Case(
        "log.private-key-missing",
        "System.Security.Cryptography.CryptographicException: Keyset does not exist",
        ("key",),
    ),
    Case(
        "log.node-no-reply",
        "System.ServiceModel.EndpointNotFoundException: Could not connect to net.tcp://node2.contoso.com:8060/"
        "ExternalService.svc/. The connection attempt lasted for a time span of 00:00:21.0312345. "
        "TCP error code 10060: A "
        "connection attempt failed because the connected party did not properly respond after a period of time "
        "10.2.4.11:8060.",
        ("node2.contoso.com:8060", "10.2.4.11", "21.0 s", "silence"),
        host="node2.contoso.com",
        command=("netdiag", "node", "node2.contoso.com:8060"),
    ),
    Case(
        "log.node-reset",
        "System.ServiceModel.CommunicationException: The socket connection was aborted. net.tcp://node2.contoso.com:8060/"
        "ExternalService.svc/ ---> System.Net.Sockets.SocketException: An existing connection was "
        "forcibly closed by the "
        "remote host",
        ("node2.contoso.com:8060",),
        host="node2.contoso.com",
        command=("netdiag", "node", "node2.contoso.com:8060"),
    ),
    Case(
        "log.node-service-unavailable",
        "System.ServiceModel.EndpointNotFoundException: There was no endpoint listening at net.tcp://node2.contoso.com:"
        "8060/ExternalService.svc/ that could accept the message.",
        ("node2.contoso.com:8060",),
        host="node2.contoso.com",
        command=("netdiag", "node", "node2.contoso.com:8060"),
    ),
    Case(
        "log.node-identity-mismatch",
        "System.ServiceModel.Security.MessageSecurityException: Identity check failed for the outgoing message. The "
        "expected DNS identity of the remote endpoint was 'node2' but the remote endpoint provided DNS claim "
        "'node2.contoso.com'. net.tcp://node2:8060/ExternalService.svc/",
        ("another name",),
        command=("netdiag", "node", "node2:8060"),
    ),
    Case(
        "log.node-security-mismatch",
        "System.ServiceModel.ProtocolException: The requested upgrade is not supported by 'net.tcp://node2.contoso.com:8060"
        "/ExternalService.svc/'. This could be due to mismatched bindings.",
        ("node2.contoso.com:8060",),
        host="node2.contoso.com",
    ),
    # Where Windows speaks another language: by codes and names of types.
    Case(
        "log.node-refused",
        'System.ServiceModel.EndpointNotFoundException: Es konnte keine Verbindung mit "net.tcp://knoten2.contoso.com:8060/'
        'ExternalService.svc/WorkerManager" hergestellt werden. Der Verbindungsversuch dauerte 00:00:02.0080000. '
        "TCP-Fehlercode 10061: Es konnte keine Verbindung hergestellt werden, da der Zielcomputer die Verbindung "
        "verweigerte 10.2.4.10:8060.",
        ("knoten2.contoso.com:8060", "10.2.4.10", "four times more"),
        host="knoten2.contoso.com",
        command=("netdiag", "node", "knoten2.contoso.com:8060"),
        name="german",
    ),
    Case(
        "log.assembly-missing",
        'System.IO.FileNotFoundException: Die Datei oder Assembly "System.ValueTuple, '
        "Version=4.0.2.0, Culture=neutral, "
        'PublicKeyToken=cc7b13ffcd2ddd51" oder eine Abhängigkeit davon wurde nicht gefunden. Das '
        "System kann die angegebene "
        "Datei nicht finden.",
        ("System.ValueTuple version 4.0.2.0",),
        name="german-assembly",
    ),
    Case(
        "log.private-key-access-denied",
        "Schwerwiegender Fehler beim Versuch, auf den privaten Schlüssel der TLS-Anmeldeinformationen für Server "
        "zuzugreifen. Der vom Kryptografiemodul zurückgegebene Fehlercode lautet 0x8009030D. Der interne Fehlerstatus "
        "lautet 10001.",
        ("0x8009030D",),
        name="german-key",
    ),
    Case(
        "log.revocation-offline",
        "La fonction de révocation n'a pas pu vérifier la révocation car le serveur de révocation était déconnecté. "
        "(Exception de HRESULT : 0x80092013)",
        ("revoked",),
        name="french",
    ),
    Case(
        "log.out-of-memory",
        "System.OutOfMemoryException: 種類 'System.OutOfMemoryException' の例外がスローされました。",
        ("emory",),
        name="japanese",
    ),
)

CASES = GUIDE + OTHERS


def wrapped(text: str) -> str:
    """At 60 columns, long words cut."""
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, 60))


def nested(text: str) -> str:
    """As the inner event of an error's LogProperties, escaped for XML around it."""
    inner = {"Code": 0, "Message": text, "EventType": 0, "Category": 5, "Data": {}, "MsgId": None}
    inner |= {"ExceptionType": "", "Source": "x", "StackTrace": "", "InnerEventInfos": []}
    outer = {**inner, "Message": "An action did not succeed.", "InnerEventInfos": [inner]}
    return f"<LogProperties><ErrorInfo>{html.escape(json.dumps([outer]))}</ErrorInfo></LogProperties>"


def elsewhere(case: Case) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The text with another host's name; its facts and its command."""
    other = "ir-07.paris.fabrikam.example"
    swap = lambda text: text.replace(case.host, other) if case.host else text  # noqa: E731
    return swap(case.text), tuple(map(swap, case.facts)), tuple(map(swap, case.command))
