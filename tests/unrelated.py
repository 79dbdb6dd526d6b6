"""Lines of logs that have nothing to do with the known issues: .NET, IIS, Windows, SQL Server, installers, PowerShell.

Written by hand after the shape of real ones; numbers and names vary with ``n``, so that there are enough of them. Some
are errors, and some come near to a known issue: a port that is 10061, a Java runtime that was found.
"""

from __future__ import annotations

#: Near to a known issue, and none.
NEAR = (
    "2024-05-21 10:00:00 INFO 10061 rows copied to dbo.Orders in 00:00:00.9940994",
    "2024-05-21 10:00:00 INFO Listening on port 10061",
    "2024-05-21 10:00:00 INFO Java Runtime Environment is found at C:\\Program Files\\Java\\jre1.8.0_301",
    "2024-05-21 10:00:00 INFO jvm.dll loaded from C:\\Program Files\\Java\\jre1.8.0_301\\bin\\server\\jvm.dll",
    (
        "2024-05-21 10:00:00 INFO Loaded assembly 'System.ValueTuple, Version=4.0.2.0, Culture=neutral, "
        "PublicKeyToken=cc7b13ff'"
    ),
    "2024-05-21 10:00:00 INFO No OutOfMemoryException in the last 24 hours",
    "2024-05-21 10:00:00 INFO The X.509 certificate CN=node1.contoso.com chain building succeeded",
    "2024-05-21 10:00:00 INFO Revocation check of CN=node1.contoso.com passed",
    "2024-05-21 10:00:00 INFO Authentication Key is assigned",
    "2024-05-21 10:00:00 INFO The authentication key is valid",
    "2024-05-21 10:00:00 INFO Connected to net.tcp://node2.contoso.com:8060/ExternalService.svc/ in 00:00:00.0120000",
    "2024-05-21 10:00:00 INFO Credentials are in sync across nodes",
    "2024-05-21 10:00:00 INFO Concurrent jobs limit is 24",
    "2024-05-21 10:00:00 INFO Service 'Integration Runtime Service' (DIAHostService) started",
    "2024-05-21 10:00:00 INFO Product: Microsoft Integration Runtime -- Installation completed successfully.",
    "2024-05-21 10:00:00 INFO .NET Framework 4.7.2 was installed successfully",
    "2024-05-21 10:00:00 INFO localhost resolves to 127.0.0.1",
    "2024-05-21 10:00:00 INFO Proxy http://proxy.contoso.com:8080 is used for https://eu.frontend.clouddatahub.net",
    "2024-05-21 10:00:00 INFO The trust relationship between this workstation and the primary domain is in order",
    "2024-05-21 10:00:00 INFO TLS 1.2 negotiated with eu.frontend.clouddatahub.net",
    "2024-05-21 10:00:00 INFO The node has been registered successfully",
    "2024-05-21 10:00:00 INFO driver of source is loaded in destination IR",
    (
        "2024-05-21 10:00:00 ERROR Execution Timeout Expired. The timeout period elapsed prior to "
        "completion of the operation."
    ),
    (
        "2024-05-21 10:00:00 ERROR System.UnauthorizedAccessException: Access to the path "
        "'D:\\Shares\\Sales\\q3.xlsx' is denied."
    ),
    "2024-05-21 10:00:00 ERROR System.IO.FileNotFoundException: Could not find file 'D:\\in\\orders.csv'.",
    "2024-05-21 10:00:00 ERROR The type initializer for 'Contoso.Billing.Cache' threw an exception.",
    (
        "2024-05-21 10:00:00 ERROR Service 'Print Spooler' (Spooler) failed to start. Verify that you "
        "have sufficient privileges."
    ),
    "2024-05-21 10:00:00 ERROR Product: Contoso Reader -- Installation failed. Error status: 1603.",
    "2024-05-21 10:00:00 ERROR HTTP status code 403 for /admin from 10.1.2.3",
    "2024-05-21 10:00:00 ERROR Invalid key in dictionary: 'authentication'",
    "2024-05-21 10:00:00 WARN The certificate CN=node1.contoso.com expires in 30 days",
    "2024-05-21 10:00:00 WARN Retrying after error code 10035",
    "2024-05-21 10:00:00 ERROR Deadlock victim: transaction (process ID 10054) was chosen",
    "2024-05-21 10:00:00 ERROR The database lookup of customer 11003 returned no row",
    "2024-05-21 10:00:00 ERROR Cannot connect the dots of polygon 10060",
)

_SHAPES = (
    # IIS, W3C
    "2024-05-21 10:{n:02d}:07 10.0.0.4 GET /api/orders/{n} - 443 CONTOSO\\svc 10.1.2.{n} Mozilla/5.0 - 200 0 0 {n}5",
    "2024-05-21 10:{n:02d}:08 10.0.0.4 POST /login - 443 - 10.1.2.{n} curl/8.5.0 - 401 2 5 1{n}",
    "2024-05-21 10:{n:02d}:09 10.0.0.4 GET /favicon.ico - 443 - 10.1.2.{n} Mozilla/5.0 - 404 0 2 {n}",
    "2024-05-21 10:{n:02d}:09 10.0.0.4 GET /report.aspx id={n} 80 - 10.1.2.{n} - - 500 0 0 31{n}",
    # ASP.NET Core and .NET services
    "2024-05-21T10:{n:02d}:10.123Z info: Microsoft.Hosting.Lifetime[14] Now listening on: http://[::]:50{n:02d}",
    (
        "2024-05-21T10:{n:02d}:11.456Z fail: Contoso.Web[0] Unhandled exception. System.NullReferenceException: Object "
        "reference not set to an instance of an object."
    ),
    (
        "2024-05-21T10:{n:02d}:12.789Z warn: Microsoft.EntityFrameworkCore.Query[10103] The query uses "
        "'First' without 'OrderBy'"
    ),
    (
        "2024-05-21 10:{n:02d}:13,001 [{n}] ERROR Contoso.Orders - Order {n} failed: "
        "System.InvalidOperationException: Sequence "
        "contains no elements"
    ),
    "2024-05-21 10:{n:02d}:14,002 [{n}] DEBUG Contoso.Orders - cache miss, key error-report-{n}, 0 errors",
    (
        "2024-05-21 10:{n:02d}:15,003 [{n}] ERROR NHibernate.Util - could not execute query SELECT * "
        "FROM Items WHERE Id = {n}"
    ),
    "2024-05-21 10:{n:02d}:16 System.ArgumentException: An item with the same key has already been added. Key: {n}",
    "2024-05-21 10:{n:02d}:17 System.FormatException: Input string '{n}x' was not in a correct format.",
    (
        "2024-05-21 10:{n:02d}:18 System.IO.IOException: The process cannot access the file "
        "'D:\\out\\{n}.csv' because it is being "
        "used by another process. (0x80070020)"
    ),
    # Windows, System and Application
    (
        "5/21/2024 10:{n:02d}:19 AM Information Service Control Manager 7036 The Windows Update service "
        "entered the running state."
    ),
    (
        "5/21/2024 10:{n:02d}:20 AM Warning Microsoft-Windows-DNS-Client 1014 Name resolution for the "
        "name wpad.contoso.com timed "
        "out after none of the configured DNS servers responded. Client PID {n}."
    ),
    (
        "5/21/2024 10:{n:02d}:21 AM Error Microsoft-Windows-GroupPolicy 1129 The processing of Group "
        "Policy failed because of lack "
        "of network connectivity to a domain controller."
    ),
    (
        "5/21/2024 10:{n:02d}:22 AM Error DistributedCOM 10016 The application-specific permission "
        "settings do not grant Local "
        "Activation permission for the COM Server application with CLSID {{{n:08X}-0000-0000-C000-000000000046}}."
    ),
    (
        "5/21/2024 10:{n:02d}:23 AM Error Application Error 1000 Faulting application name: reader.exe, "
        "version: {n}.0.0.1, "
        "exception code: 0xc0000005"
    ),
    (
        "5/21/2024 10:{n:02d}:24 AM Information Kernel-General 16 The access history in hive was cleared "
        "updating {n} keys."
    ),
    (
        "5/21/2024 10:{n:02d}:25 AM Error VSS 8193 Volume Shadow Copy Service error: Unexpected error calling routine "
        "ConvertStringSidToSid. hr = 0x80070539"
    ),
    # SQL Server
    "2024-05-21 10:{n:02d}:26.27 spid{n} Error: 1205, Severity: 13, State: 51.",
    "2024-05-21 10:{n:02d}:27.28 Logon Error: 18456, Severity: 14, State: 8.",
    "2024-05-21 10:{n:02d}:28.29 Logon Login failed for user 'app{n}'. Reason: Password did not match.",
    "2024-05-21 10:{n:02d}:29.30 Backup BACKUP DATABASE successfully processed {n}024 pages in 0.{n:03d} seconds.",
    # Installers, Java, PowerShell, syslog
    "MSI (s) (A8:{n:02X}) [10:{n:02d}:30:123]: Product: Contoso Reader -- Configuration completed successfully.",
    "2024-05-21 10:{n:02d}:31 ERROR java.lang.NullPointerException at com.contoso.Reader.read(Reader.java:{n})",
    "2024-05-21 10:{n:02d}:32 Get-Item : Cannot find path 'C:\\temp\\{n}' because it does not exist.",
    (
        "May 21 10:{n:02d}:33 web{n} sshd[{n}23]: Failed password for invalid user admin from "
        "203.0.113.{n} port 4{n:03d} ssh2"
    ),
    "May 21 10:{n:02d}:34 web{n} systemd[1]: Started Session {n} of user root.",
    "2024-05-21 10:{n:02d}:35 WARN Hangfire - job {n} was not completed in time, retrying",
)

#: More than three hundred, all different.
LINES = tuple(shape.format(n=n) for n in range(1, 13) for shape in _SHAPES) + NEAR
