"""Known issues of the integration runtime's installation, registration, service and libraries."""

from __future__ import annotations

from netdiag.model import Severity
from netdiag.rules.log_issue import Advice, LogText, known_issue

#: Events of the Service Control Manager about a service that did not start, or ended.
_SERVICE_EVENTS = frozenset({7000, 7001, 7009, 7011, 7022, 7023, 7024, 7031, 7034, 7038, 7041})
_SERVICE_CODES = {
    1053: "1053: it did not report in time that it had started; the machine is overloaded, or .NET is damaged",
    1067: "1067: its program ended by itself; the event log of the integration runtime says why",
    1068: "1068: a service that it depends on could not start",
    1069: "1069: its account could not log on; the password, or the right to log on as a service, is wrong",
    1385: '1385: its account lacks the right "Log on as a service"',
    1326: "1326: the account's name or password is wrong",
    5: "5: its account may not read what it needs",
}
_INSTALLER_CODES = {
    1601: "1601: the Windows Installer service cannot be reached; start it (services.msc: Windows Installer)",
    1603: '1603: the installation failed and was rolled back; look for "Return value 3" in its log (msiexec /l*v)',
    1612: "1612: the old version's installation file is gone, which removing it needs; download that version again",
    1618: "1618: another installation is running; wait for it, or restart Windows",
    1619: "1619: the installation file cannot be opened; copy it to a local folder",
    1620: "1620: the file is no valid installation package; download it again",
    1625: "1625: a group policy forbids the installation",
    1632: "1632: the folder for temporary files is full, or cannot be written",
    1633: "1633: the package is for another kind of processor",
    1638: "1638: another version is installed already; remove it first",
    112: "112: the disk is full",
}


@known_issue("log.authentication-key-missing", "Log: the node has lost its authentication key")
def key_missing(text: LogText) -> Advice | None:
    r"""The node says that no authentication key is assigned to it, and is offline.

    The key is what a node was registered with. It is gone when the node, or the whole integration
    runtime, was deleted in the portal, or when the software was removed together with its data. If
    neither happened, somebody or something deleted the file Configurations in
    %programdata%\Microsoft\Data Transfer\DataManagementGateway.

    Register the node again, with a key of the integration runtime in the portal. To find out who
    deleted the file, audit that folder (object access auditing, event 4663).
    """
    if not text.matches(r"authenticationkeyis(?:not|n't)(?:yet)?assigned"):
        return None
    return Advice(
        summary="The node has no authentication key any more",
        blame="this-machine",
        remedy=(
            "Check in the portal whether the node or its integration runtime was deleted, and look for the file "
            r"Configurations in %programdata%\Microsoft\Data Transfer\DataManagementGateway; then "
            r"register the node again"
        ),
    )


@known_issue(
    "log.public-access-disabled",
    "Log: the factory is closed to public networks",
    folds=("log.authentication-key-invalid", "log.cloud-service-unreachable"),
)
def public_access(text: LogText) -> Advice | None:
    """The service refuses this machine because it came from a public address, and public access is off.

    A data factory whose public network access is disabled takes connections through its private
    endpoint only. A node arrives from a public address when DNS gives it the public address of the
    factory: the private DNS zone is not linked to its network, or its name servers do not forward
    to Azure. The message often speaks of an invalid key as well, although the key is right.

    netdiag endpoint FACTORY.REGION.datafactory.azure.net must show a private address. Link the zone
    privatelink.datafactory.azure.net to the node's network, forward it, or write the private
    address into the hosts file. A record named adf in a zone privatelink.azure.com is in the way:
    use privatelink.adf.azure.com.
    """
    if not text.says("enabled public network access", "isn't valid private ip", "is not valid private ip"):
        return None
    place = text.place
    return Advice(
        summary="The data factory takes no connection from a public address, and this node comes from one",
        blame="dns",
        remedy=(
            "Have DNS give this node the factory's private address: link the zone privatelink.datafactory.azure.net to "
            "its network, or enter the address into the hosts file; or enable public network access"
        ),
        commands=(("netdiag", "endpoint", place.host),) if place else (),
    )


@known_issue("log.authentication-key-invalid", "Log: the authentication key is not accepted")
def key_invalid(text: LogText) -> Advice | None:
    """The service did not accept the authentication key with which a node wanted to register.

    The key was copied incompletely, regenerated in the portal since, or belongs to another integration
    runtime. The same message comes where the key is right, but the factory's public network access is
    off and the node arrives from a public address.

    Copy the key again from the portal. If it is still refused, check with netdiag endpoint
    FACTORY.REGION.datafactory.azure.net whether this machine gets the factory's private address.
    """
    said = text.says("authentication key is invalid", "InvalidGatewayKey", "gateway key is invalid")
    if not said:
        return None
    return Advice(
        summary="The service does not accept the authentication key of this node",
        blame="this-machine",
        remedy=(
            "Copy the key again from the portal and register with it; if it is refused again, check "
            "whether the factory's "
            "public network access is off, and which address DNS gives here for FACTORY.REGION.datafactory.azure.net"
        ),
    )


@known_issue(
    "log.service-start-failed",
    "Log: the integration runtime's service does not start",
    folds=("log.host-service-unreachable", "log.cloud-service-unreachable", "log.service-account-rights"),
    explains=("log.host-service-unreachable",),
)
def service_start(text: LogText) -> Advice | None:
    """The Windows service of the integration runtime (DIAHostService) did not start.

    Most often its account was changed, and the new one lacks the right "Log on as a service", or its
    password is wrong or has expired (1069, 1385). 1053 means that the service did not report in time
    that it had started. Without it the node is offline, and Configuration Manager cannot connect.

    Look at the account in services.msc, and give it the right in the local security policy (Local
    Policies, User Rights Assignment, Log on as a service). Change the account with dmgcmd.exe
    -SwitchServiceAccount rather than in services.msc, so that its folders and keys come along.
    """
    named = text.says("DIAHostService", "Integration Runtime Service")
    failed = text.matches(
        r"failedtostart|couldnotbestarted|didnotstart|unabletologon|logonfailure|sufficientprivilegestostart|"
        r"terminatedunexpectedly|didnotrespondtothestart"
    )
    codes = [words for number, words in _SERVICE_CODES.items() if text.code(number)]
    from_manager = (
        text.seen.event_id in _SERVICE_EVENTS
        and "servicecontrolmanager" in text.seen.provider.replace(" ", "").casefold()
    )
    if not named or not (failed or from_manager or any(text.code(n) for n in (1053, 1067, 1068, 1069, 1385))):
        return None
    return Advice(
        summary="The service DIAHostService of the integration runtime did not start",
        blame="this-machine",
        remedy=(
            'Check its account in services.msc: password, and the right "Log on as a service". Change accounts with '
            'dmgcmd.exe -SwitchServiceAccount "USER" "PASSWORD" only'
        ),
        details=tuple(f"Error {words}" for words in codes),
    )


@known_issue(
    "log.service-account-rights",
    "Log: the service's account lacks rights",
    folds=("log.host-service-unreachable", "log.cloud-service-unreachable"),
    explains=("log.host-service-unreachable",),
)
def service_rights(text: LogText) -> Advice | None:
    r"""The integration runtime's service was denied access to something (UnauthorizedAccessException).

    Folders, registry keys and certificates were made for the account that it was installed with.
    When the account is changed in services.msc, the rights on these stay with the old one. The
    first thing to fail is %programdata%\Microsoft\DataTransfer\DataManagementGateway, to which it
    must write.

    Give the account read and write access to that folder. Better: remove the integration runtime
    with its data, install it again, change the account with dmgcmd.exe -SwitchServiceAccount "USER"
    "PASSWORD" as administrator (for Local System: "NT Authority\System" ""), and register the node.
    """
    denied = text.type("UnauthorizedAccessException") or text.code(0x80070005)
    if not denied or not text.is_of_runtime:
        return None
    return Advice(
        summary="The account of the integration runtime's service may not use something that it needs",
        blame="this-machine",
        remedy=(
            r"Give the account of DIAHostService read and write access to %programdata%\Microsoft\DataTransfer"
            r"\DataManagementGateway, or install again and switch it by dmgcmd.exe -SwitchServiceAccount"
        ),
    )


@known_issue(
    "log.host-service-unreachable",
    "Log: Configuration Manager cannot reach the service",
    folds=("log.cloud-service-unreachable",),
)
def host_service(text: LogText) -> Advice | None:
    """Configuration Manager cannot connect to the integration runtime's service on the same machine.

    This happens when the service does not run, most often after its account was changed: the event log
    then holds either an UnauthorizedAccessException, or says that DIAHostService failed to start. The
    network has no part in it.

    Look whether DIAHostService runs. Read the event log of the integration runtime (Applications and
    Services Logs) and of Windows (Application), or give their export to netdiag log.
    """
    if not text.matches(r"cannotconnecttotheintegrationruntime\(self-hosted\)hostservice"):
        return None
    return Advice(
        summary="Configuration Manager cannot connect to the service of the integration runtime on this machine",
        blame="this-machine",
        remedy=(
            "Look in services.msc whether DIAHostService runs and under which account; then give netdiag log the event "
            "log of the integration runtime, which says why it does not"
        ),
        details=("The account of a service that was changed by hand is the usual cause",),
    )


_LOOPBACK = r"datasourcecache|get_loopbackiporname|loopback"


@known_issue("log.localhost-lookup-failed", "Log: localhost does not resolve", folds=("log.name-not-resolved",))
def localhost(text: LogText) -> Advice | None:
    """The integration runtime could not look up localhost, so that it cannot be registered.

    It asks for this machine's own name when it starts (DataSourceCache, get_LoopbackIpOrName). When
    the hosts file lacks localhost, holds a wrong entry, or the DNS client fails, the lookup ends
    with "A non-recoverable error occurred during a database lookup" (11003).

    Write the line 127.0.0.1 localhost into the hosts file, and restart the service. netdiag dns
    localhost shows what resolves it, and to what.
    """
    failed = text.says("during a database lookup") or text.code(11001, 11003, 11004) or text.type("SocketException")
    if not text.matches(_LOOPBACK) or not failed:
        return None
    return Advice(
        summary="This machine cannot resolve localhost, which the integration runtime needs to start",
        blame="this-machine",
        remedy=r"Add the line 127.0.0.1 localhost to C:\Windows\System32\drivers\etc\hosts, and restart DIAHostService",
        commands=(("netdiag", "dns", "localhost"),),
    )


@known_issue("log.setup-failed", "Log: the installation of the integration runtime failed")
def setup(text: LogText) -> Advice | None:
    """The integration runtime could not be installed, upgraded or removed.

    Its setup is done by the Windows Installer. The guide names as causes: too little disk space,
    missing permissions, a service that is locked, a processor that is too busy, an installation
    file on a slow network drive, and system files or registry keys that were changed. The
    installer's number tells which kind it was; 1603 stands for "something failed", and only the
    installer's log says what.

    Free disk space, restart Windows, copy the file to a local disk, and run it as administrator
    with a log: msiexec /i IntegrationRuntime.msi /l*v setup.log. In the log, look above "Return
    value 3".
    """
    product = text.matches(r"integrationruntime|diahost|datamanagementgateway") and not text.says("DIAHostService")
    failed = text.matches(
        r"(?:installation|removal|setup|uninstall\w*|reconfiguration|configuration|upgrade)(?:operation)?(?:has)?failed"
        r"|installationsuccessorerrorstatus:16\d\d|errorstatus:16\d\d"
    )
    codes = [words for number, words in _INSTALLER_CODES.items() if text.code(number)]
    by_number = any(text.code(n) for n in _INSTALLER_CODES if n > 1600)
    if not product or not (failed or (by_number and text.matches("msi|install|setup"))):
        return None
    return Advice(
        summary="The integration runtime could not be installed, upgraded or removed",
        blame="this-machine",
        remedy=(
            "Free disk space, end other installations, copy the file to a local disk and run it as administrator: "
            "msiexec /i FILE.msi /l*v setup.log; the cause stands in setup.log above 'Return value 3'"
        ),
        details=tuple(f"Installer error {words}" for words in codes),
    )


@known_issue("log.dotnet-too-old", "Log: .NET Framework is too old")
def dotnet(text: LogText) -> Advice | None:
    r"""Version 5 of the integration runtime needs .NET Framework 4.7.2 or later, which is missing here.

    With automatic update on, the node stays on the last version 4 and warns; an installation by
    hand asks for the newer .NET first. Version 4 goes on working for now, and does not get what is
    new.

    Install .NET Framework 4.7.2 or later (4.8 is the last, and contains it), restart Windows, and
    let the node update itself, or install version 5. The value Release below
    HKLM\SOFTWARE\Microsoft\NET Framework Setup\NDP\v4\Full is 461808 or more then.
    """
    needed = text.matches(
        r"(?:requires?|required|upgrade|needs?|must|below|lowerthan|olderthan|earlierthan|notinstalled|missing)[^.]{0,80}"
        r"\.netframework[^.]{0,40}4\.7\.2"
        r"|\.netframework[^.]{0,40}4\.7\.2(?:\(?orlater\)?|orabove|orhigher|ornewer)?[^.]{0,40}"
        r"(?:isrequired|required|isnotinstalled|ismissing|needed|first)"
    )
    if not needed and not (text.code(0x80131700) and text.is_of_runtime):
        return None
    return Advice(
        summary=(
            ".NET Framework on this machine is older than the 4.7.2 that version 5 of the integration runtime needs"
        ),
        blame="this-machine",
        remedy="Install .NET Framework 4.7.2 or later (4.8), restart Windows, and update the integration runtime",
    )


@known_issue("log.factory-version-unsupported", "Log: version 5 does not serve version 1 of Data Factory")
def factory_version(text: LogText) -> Advice | None:
    """A node of version 5 was to be registered with an Azure Data Factory of version 1.

    Version 5 of the integration runtime does not support Data Factory version 1. Nodes of such a
    factory are updated to the last version 4 and no further, and that one does not expire.

    Install the last version 4 for that factory, or move the pipelines to a factory of version 2.
    """
    if not text.matches(
        r"(?:doesn't|doesnot|not)support(?:ed)?[^.]{0,40}(?:azuredatafactoryv1|datafactory\(?v1|adfv1)"
    ):
        return None
    return Advice(
        summary="Version 5 of the integration runtime does not serve a Data Factory of version 1",
        blame="this-machine",
        remedy="Install the last version 4 of the integration runtime for that factory, or move to version 2 of it",
    )


@known_issue("log.assembly-missing", "Log: a .NET assembly cannot be loaded")
def assembly(text: LogText) -> Advice | None:
    r"""The integration runtime, or a driver in it, did not find a .NET assembly, or not in that version.

    It looks into the global assembly cache (GAC), then into its folder Shared, then into Gateway,
    below C:\Program Files\Microsoft Integration Runtime\4.0 (5.0 for version 5). Copies of the same
    file below %windir%\Microsoft.NET\assembly are no help when they are of another version. The
    type whose initialiser failed, around it, is only the first one that needed it.

    The missing file often lies in Gateway\DataScan: copy it from there into Gateway, and restart
    the service. Process Monitor, filtered by the file's name, shows where it is looked for. Where
    an assembly is found in a wrong version (0x80131040), install the driver that brings the right
    one.
    """
    found = text.seen.assembly
    said = text.says("Could not load file or assembly") or (
        found is not None
        and bool(found.version)
        and text.type("FileNotFoundException", "FileLoadException", "BadImageFormatException")
    )
    if found is None or not said or not (found.version or found.name.lower().endswith(".dll")):
        return None
    version = f" version {found.version}" if found.version else ""
    file = found.name if found.name.lower().endswith((".dll", ".exe")) else f"{found.name}.dll"
    other = text.code(0x80131040)
    mixed = text.type("BadImageFormatException") or text.code(0x8007000B)
    if other:
        remedy = (
            f"Install the driver or component that brings {file} in that version; remove an older copy from the GAC"
        )
    elif mixed:
        remedy = f"Replace {file} by the one for this processor: 64-bit programs load no 32-bit assemblies"
    else:
        remedy = (
            rf"Copy {file} from ...\Microsoft Integration Runtime\4.0\Gateway\DataScan (5.0 for version 5) into "
            r"...\4.0\Gateway, or into ...\4.0\Shared, and restart the service DIAHostService"
        )
    return Advice(
        summary=f"The assembly {found.name}{version} was not {'found in that version' if other else 'found'}"
        if not mixed
        else f"The assembly {found.name}{version} is of the wrong kind",
        blame="this-machine",
        remedy=remedy,
        details=(
            r"It is looked for in the GAC, then in the folder Shared of the integration runtime, then in Gateway",
        ),
    )


@known_issue("log.java-runtime-missing", "Log: no Java runtime was found")
def java(text: LogText) -> Advice | None:
    r"""The integration runtime found no Java runtime (JRE), which Parquet and ORC files need.

    It looks for it through the registry: the value CurrentVersion in
    HKEY_LOCAL_MACHINE\SOFTWARE\JavaSoft \Java Runtime Environment names a version, and JavaHome in
    the key of that version names the folder, which must hold bin\server\jvm.dll (or
    bin\client\jvm.dll). A 64-bit integration runtime needs a 64-bit JRE, in C:\Program Files\Java
    and not in Program Files (x86). Where all of this is right, a library that jvm.dll itself needs
    is missing: the Visual C++ 2010 runtime.

    Install a 64-bit JRE 8 with its installer (an archive that is unpacked writes no registry),
    check the two values, and restart the service DIAHostService.
    """
    unloadable = text.says("jvm.dll") and (text.type("DllNotFoundException") or text.code(126, 0x8007007E))
    said = text.matches(r"javaruntimeenvironment(?:is|was)?(?:not|cannotbe)found|nojavaruntime")
    if not (text.says("UserErrorJreNotFound") or unloadable or said):
        return None
    return Advice(
        summary="No usable Java runtime was found, which Parquet and ORC files need",
        blame="this-machine",
        remedy=(
            r"Install a 64-bit JRE 8 for a 64-bit integration runtime, check CurrentVersion and JavaHome below HKLM"
            r"\SOFTWARE\JavaSoft\Java Runtime Environment and that JavaHome holds bin\server\jvm.dll, then restart the "
            "service"
        ),
        details=("If all of that is right, install the Visual C++ 2010 Redistributable, which jvm.dll needs",),
    )


@known_issue("log.driver-not-on-destination", "Log: the other store's driver is not on the node that copies")
def driver(text: LogText) -> Advice | None:
    """A copy between two stores with two integration runtimes failed: one of them cannot reach both.

    One integration runtime carries out a copy, that of the destination; it is no agent that each
    store needs. So that one needs the drivers of both stores, and a way through the network to
    both.

    Give both linked services the same integration runtime, install both drivers there, and check
    its way to the source with netdiag endpoint tcp://SOURCE:PORT. Where no machine can reach both
    stores, copy in two steps: from the source to Azure Blob Storage with the one, from there with
    the other.
    """
    if not text.matches(r"driverofsourcecannotbefoundindestination|sourcecannotbeaccessedbythedestination"):
        return None
    return Advice(
        summary="The integration runtime of the destination cannot use the source: driver or network is missing there",
        blame="this-machine",
        remedy=(
            "Use one integration runtime for both linked services and install both drivers on it; "
            "where it cannot reach "
            "both stores, copy in two steps through Azure Blob Storage"
        ),
    )


@known_issue("log.credential-sync-lost", "Log: a store's credentials are missing on this node")
def credentials_lost(text: LogText) -> Advice | None:
    """The credentials of a linked service are not on the node that was to use them.

    Nodes of one integration runtime keep credentials each on its own disk and copy them to each
    other. When they were out of step while the dispatcher changed from one node to another, the new
    one does not have what was entered on the old one. The message speaks of a deleted linked
    service or a wrong payload.

    Enter the credentials of the linked service again. Then see that the nodes are in sync
    (Configuration Manager, or the portal's Nodes tab): netdiag node HOST:8060 checks the way
    between them.
    """
    said = text.says("or the task has the wrong payload", "please create new link service with your credential")
    deleted = text.matches(r"credential.{0,200}isdeletedfromthecurrentintegrationruntimenode")
    if not (said or deleted):
        return None
    return Advice(
        summary="The credentials of a data store are not on this node",
        blame="this-machine",
        remedy=(
            "Enter the credentials of the linked service again; then have the nodes in sync, so that "
            "the next change of "
            "the dispatcher loses nothing"
        ),
    )


@known_issue("log.credential-sync-pending", "Log: nodes are still exchanging credentials", Severity.WARNING)
def credentials_pending(text: LogText) -> Advice | None:
    r"""A node is copying credentials from the others; after more than ten minutes it is stuck.

    Then either the nodes do not reach each other, or a node may not use the private key of the
    certificate that secures their traffic: the log then also holds SChannel's 0x8009030D.

    Check the way to the dispatcher node with netdiag node HOST:8060. For the key, give the account
    NT SERVICE\DIAHostService access to it (certlm.msc, All Tasks, Manage Private Keys).
    """
    if not text.says("trying to sync the credentials across nodes"):
        return None
    return Advice(
        summary="This node waits for the credentials of the other nodes",
        blame="unknown",
        remedy=(
            "If it takes more than ten minutes, check the way to the dispatcher node (netdiag node HOST:8060), and its "
            "log for 0x8009030D, which says that the certificate's key may not be used"
        ),
    )


@known_issue("log.out-of-memory", "Log: memory ran out")
def memory(text: LogText) -> Advice | None:
    """A program could not get the memory it needed (OutOfMemoryException).

    On a node of an integration runtime this comes from too much work at once: many activities, or a
    lookup of much data, started together while memory was short for a moment. The service is made
    to fail that activity rather than to wait.

    Look at memory and at the number of concurrent jobs on the node at that time. Spread the
    triggers, lower the limit of concurrent jobs, give the machine more memory, or add a node.
    """
    said = text.matches(
        r"(?<!no)(?<!without)(?<!handle)(?<!handles)(?<!on)(?<!catch)outofmemoryexception(?!handl|count|filter|policy|=0|:0)"
    )
    if not (said or text.code(0x8007000E, 0x8013153D)):
        return None
    return Advice(
        summary="Memory ran out on this node",
        blame="this-machine",
        remedy=(
            "Spread activities over time, lower the limit of concurrent jobs of the node, or give it "
            "more memory or the "
            "integration runtime another node"
        ),
    )


@known_issue("log.concurrent-jobs-limit", "Log: the limit of concurrent jobs cannot be set so high", Severity.WARNING)
def jobs(text: LogText) -> Advice | None:
    """The limit of concurrent jobs of a node was to be raised, and the change does not come to its end.

    The portal shows Updating for ever, and the old number after a refresh. The number may be from 3
    to 32, and the node also bounds it by its own logical processors and memory, which the portal
    does not know.

    Enter a smaller number (24 where 32 hangs), or give the machine more processors and memory
    first. Another node adds as many jobs as it has.
    """
    stuck = r"updating|notbeenupdated|failedtoupdate|stuck|exceed|outofrange|toohigh|notallowed|invalid|maximumvalue"
    if not text.matches(rf"concurrentjobs?.{{0,160}}(?:{stuck})|(?:{stuck}).{{0,80}}concurrentjobs?limit"):
        return None
    return Advice(
        summary="The limit of concurrent jobs cannot be raised on this node",
        blame="this-machine",
        remedy="Enter a smaller number (3 to 32, bounded by the node's processors and memory), or add a node",
    )
