"""Numbers of errors as Windows and .NET write them: number, name, what it means in our words. Data only.

Contract: names and numbers are those of the header that each block names (compared with mingw-w64's copy of it); one
line an entry: number, name, meaning. Win32 numbers also stand in the low half of an HRESULT 0x8007xxxx [MS-ERREF §2.1].
"""

from __future__ import annotations

#: Where the numbers of each block come from: header, and the page that documents them.
WINSOCK = "winsock2.h; Windows Sockets Error Codes"
WIN32 = "winerror.h; System Error Codes"
INSTALLER = "winerror.h; Windows Installer Error Messages"
WINHTTP = "winhttp.h and wininet.h; WinHTTP and WinINet Error Messages"
SSPI = "winerror.h; Schannel Error Codes, SSPI Status Codes"
CRYPTO = "winerror.h; CryptoAPI and CNG error codes"
COM = "winerror.h; COM Error Codes"
DOTNET = "corerror.h; HResult of the .NET exception"

WINSOCK_CODES = """
10004 WSAEINTR the call was ended by its own program
10013 WSAEACCES forbidden on this machine: a firewall, endpoint protection, or a port that is reserved
10022 WSAEINVAL the call was not valid in that state
10024 WSAEMFILE no more sockets can be opened
10035 WSAEWOULDBLOCK not yet; no error by itself
10038 WSAENOTSOCK the connection had been closed by its own program
10047 WSAEAFNOSUPPORT an address of a family (IPv4, IPv6) that cannot be used here
10048 WSAEADDRINUSE another program uses that address and port already
10049 WSAEADDRNOTAVAIL the address is none of this machine's, or is not valid here
10050 WSAENETDOWN this machine's network is down
10051 WSAENETUNREACH there is no route to that network
10052 WSAENETRESET the connection was dropped because the other side did not answer keep-alives
10053 WSAECONNABORTED this machine's own software ended the connection
10054 WSAECONNRESET the connection was reset: a reset (RST) came in the other side's name
10055 WSAENOBUFS no buffers, or no free local ports
10057 WSAENOTCONN the connection is not open
10058 WSAESHUTDOWN the connection was closed for sending
10060 WSAETIMEDOUT nothing answered: what was sent, or its answer, is dropped on the way or the host is off
10061 WSAECONNREFUSED refused: the machine, or a filter in its name, answered that nobody listens there
10064 WSAEHOSTDOWN the host is down
10065 WSAEHOSTUNREACH there is no way to that host
10093 WSANOTINITIALISED the program did not start Windows Sockets
11001 WSAHOST_NOT_FOUND there is no such name
11002 WSATRY_AGAIN the name servers did not answer, or failed
11003 WSANO_RECOVERY the lookup failed for good: a broken hosts file or resolver, or the server's refusal
11004 WSANO_DATA the name exists, without an address of the kind that was asked for
"""

WIN32_CODES = """
2 ERROR_FILE_NOT_FOUND the file does not exist
3 ERROR_PATH_NOT_FOUND the folder does not exist
5 ERROR_ACCESS_DENIED the account may not do that
8 ERROR_NOT_ENOUGH_MEMORY there is not enough memory
14 ERROR_OUTOFMEMORY there is not enough memory
32 ERROR_SHARING_VIOLATION another program has the file open
53 ERROR_BAD_NETPATH the machine that a network path names was not found
64 ERROR_NETNAME_DELETED the connection to a share went away
87 ERROR_INVALID_PARAMETER a parameter is wrong
112 ERROR_DISK_FULL the disk is full
121 ERROR_SEM_TIMEOUT the network did not answer in time
126 ERROR_MOD_NOT_FOUND a DLL, or one that it needs, was not found
127 ERROR_PROC_NOT_FOUND a DLL lacks a function: it is of another version
193 ERROR_BAD_EXE_FORMAT a program or DLL of the wrong kind (32 and 64 bit mixed), or damaged
995 ERROR_OPERATION_ABORTED the operation was cancelled
1053 ERROR_SERVICE_REQUEST_TIMEOUT the service did not report in time that it had started
1056 ERROR_SERVICE_ALREADY_RUNNING the service runs already
1058 ERROR_SERVICE_DISABLED the service is disabled
1060 ERROR_SERVICE_DOES_NOT_EXIST there is no service of that name
1062 ERROR_SERVICE_NOT_ACTIVE the service does not run
1067 ERROR_PROCESS_ABORTED the service's program ended by itself
1068 ERROR_SERVICE_DEPENDENCY_FAIL a service that it needs could not start
1069 ERROR_SERVICE_LOGON_FAILED the service's account could not log on
1115 ERROR_SHUTDOWN_IN_PROGRESS Windows is shutting down
1225 ERROR_CONNECTION_REFUSED the connection was refused
1231 ERROR_NETWORK_UNREACHABLE there is no route to that network
1232 ERROR_HOST_UNREACHABLE there is no way to that host
1236 ERROR_CONNECTION_ABORTED this machine ended the connection
1326 ERROR_LOGON_FAILURE the user's name or password is wrong
1330 ERROR_PASSWORD_EXPIRED the account's password has expired
1331 ERROR_ACCOUNT_DISABLED the account is disabled
1385 ERROR_LOGON_TYPE_NOT_GRANTED the account lacks that right to log on, such as "Log on as a service"
1396 ERROR_WRONG_TARGET_NAME the service's Kerberos name belongs to another account
1398 ERROR_TIME_SKEW the clocks of the two machines differ too much
1460 ERROR_TIMEOUT it took too long
1722 RPC_S_SERVER_UNAVAILABLE the other machine's RPC service cannot be reached
1726 RPC_S_CALL_FAILED the remote call failed on its way
1753 EPT_S_NOT_REGISTERED the other machine has no such RPC service
1909 ERROR_ACCOUNT_LOCKED_OUT the account is locked
14001 ERROR_SXS_CANT_GEN_ACTCTX a runtime library that the program needs is not installed
"""

INSTALLER_CODES = """
1601 ERROR_INSTALL_SERVICE_FAILURE the Windows Installer service cannot be reached
1602 ERROR_INSTALL_USEREXIT the user cancelled the installation
1603 ERROR_INSTALL_FAILURE the installation failed and was rolled back; the installer's log says at what
1605 ERROR_UNKNOWN_PRODUCT the product is not installed
1612 ERROR_INSTALL_SOURCE_ABSENT the original installation file is not there any more
1618 ERROR_INSTALL_ALREADY_RUNNING another installation is running
1619 ERROR_INSTALL_PACKAGE_OPEN_FAILED the installation file cannot be opened
1620 ERROR_INSTALL_PACKAGE_INVALID the file is no valid installation package
1622 ERROR_INSTALL_LOG_FAILURE the installer cannot write its log
1625 ERROR_INSTALL_PACKAGE_REJECTED a policy forbids this installation
1632 ERROR_INSTALL_TEMP_UNWRITABLE the folder for temporary files is full or cannot be written
1633 ERROR_INSTALL_PLATFORM_UNSUPPORTED the package is for another kind of processor
1638 ERROR_PRODUCT_VERSION another version of the product is installed already
1642 ERROR_PATCH_TARGET_NOT_FOUND the program to be updated is not there
3010 ERROR_SUCCESS_REBOOT_REQUIRED done; Windows must be restarted
"""

WINHTTP_CODES = """
12002 ERROR_WINHTTP_TIMEOUT no answer in time
12005 ERROR_WINHTTP_INVALID_URL the URL is not valid
12006 ERROR_WINHTTP_UNRECOGNIZED_SCHEME the URL does not begin with http: or https:
12007 ERROR_WINHTTP_NAME_NOT_RESOLVED the name of the server, or of the proxy, cannot be resolved
12015 ERROR_WINHTTP_LOGIN_FAILURE the login failed
12017 ERROR_WINHTTP_OPERATION_CANCELLED the operation was cancelled
12029 ERROR_WINHTTP_CANNOT_CONNECT the connection could not be opened
12030 ERROR_WINHTTP_CONNECTION_ERROR the connection was reset or closed before its end
12032 ERROR_WINHTTP_RESEND_REQUEST the request must be sent again
12037 ERROR_WINHTTP_SECURE_CERT_DATE_INVALID the certificate has expired, or is not valid yet
12038 ERROR_WINHTTP_SECURE_CERT_CN_INVALID the certificate is for another name
12044 ERROR_WINHTTP_CLIENT_AUTH_CERT_NEEDED the server wants a client certificate
12045 ERROR_WINHTTP_SECURE_INVALID_CA the certificate's authority is not trusted here
12057 ERROR_WINHTTP_SECURE_CERT_REV_FAILED whether the certificate was revoked cannot be found out
12152 ERROR_WINHTTP_INVALID_SERVER_RESPONSE what answered is not valid HTTP
12156 ERROR_WINHTTP_REDIRECT_FAILED too many redirections, or to another scheme
12157 ERROR_WINHTTP_SECURE_CHANNEL_ERROR TLS could not be agreed on
12166 ERROR_WINHTTP_BAD_AUTO_PROXY_SCRIPT the proxy script (PAC) is wrong
12167 ERROR_WINHTTP_UNABLE_TO_DOWNLOAD_SCRIPT the proxy script (PAC) cannot be fetched
12169 ERROR_WINHTTP_SECURE_INVALID_CERT the certificate is not valid
12170 ERROR_WINHTTP_SECURE_CERT_REVOKED the certificate was revoked
12175 ERROR_WINHTTP_SECURE_FAILURE TLS failed: the certificate, or no version or cipher suite in common
12178 ERROR_WINHTTP_AUTO_PROXY_SERVICE_ERROR looking for a proxy failed
12179 ERROR_WINHTTP_SECURE_CERT_WRONG_USAGE the certificate is not meant for servers
12180 ERROR_WINHTTP_AUTODETECTION_FAILED no proxy could be found automatically (WPAD)
"""

SSPI_CODES = """
0x80090301 SEC_E_INVALID_HANDLE the TLS or Kerberos state is gone
0x80090303 SEC_E_TARGET_UNKNOWN the server's name is not known to Kerberos, or not reachable
0x80090304 SEC_E_INTERNAL_ERROR the security service (LSA) failed or cannot be reached
0x80090305 SEC_E_SECPKG_NOT_FOUND that security package does not exist here
0x80090308 SEC_E_INVALID_TOKEN what came is no valid message of TLS (or Kerberos): something else answered
0x8009030C SEC_E_LOGON_DENIED the login was refused
0x8009030D SEC_E_UNKNOWN_CREDENTIALS the account may not use the certificate's private key, or there is none
0x8009030E SEC_E_NO_CREDENTIALS there are no credentials that could be used
0x8009030F SEC_E_MESSAGE_ALTERED the message was changed on its way
0x80090311 SEC_E_NO_AUTHENTICATING_AUTHORITY no domain controller can be reached
0x80090317 SEC_E_CONTEXT_EXPIRED the secured connection has ended
0x80090318 SEC_E_INCOMPLETE_MESSAGE the message ends in the middle
0x80090322 SEC_E_WRONG_PRINCIPAL the certificate, or the Kerberos name, is for another name
0x80090324 SEC_E_TIME_SKEW the clocks of the two machines differ too much
0x80090325 SEC_E_UNTRUSTED_ROOT the certificate comes from a root that is not trusted here
0x80090326 SEC_E_ILLEGAL_MESSAGE the peer sent what TLS does not allow at that point, often a fatal alert
0x80090327 SEC_E_CERT_UNKNOWN the certificate could not be processed
0x80090328 SEC_E_CERT_EXPIRED the certificate has expired
0x80090329 SEC_E_ENCRYPT_FAILURE the message could not be encrypted
0x80090330 SEC_E_DECRYPT_FAILURE the message could not be decrypted
0x80090331 SEC_E_ALGORITHM_MISMATCH the two sides have no TLS version or cipher suite in common
0x8009033D SEC_E_PKINIT_NAME_MISMATCH the client certificate has no valid user name
0x80090346 SEC_E_BAD_BINDINGS the login is bound to another TLS connection: TLS was opened on the way
0x80090349 SEC_E_CERT_WRONG_USAGE the certificate is not meant for this
0x80090352 SEC_E_ISSUING_CA_UNTRUSTED the authority of the domain controller's certificate is not trusted
0x80090353 SEC_E_REVOCATION_OFFLINE_C whether the smart card's certificate was revoked cannot be found out
0x80090363 SEC_E_MUTUAL_AUTH_FAILED the server could not prove who it is
0x80090367 SEC_E_APPLICATION_PROTOCOL_MISMATCH no application protocol (ALPN) in common
"""

CRYPTO_CODES = """
0x80090003 NTE_BAD_KEY the key is not of the right kind
0x80090005 NTE_BAD_DATA the data, or the stored key, are damaged or were encrypted by another account
0x80090006 NTE_BAD_SIGNATURE the signature is wrong
0x80090008 NTE_BAD_ALGID the provider does not have that algorithm
0x8009000B NTE_BAD_KEY_STATE the key cannot be used in that state: often it is marked as not exportable
0x8009000D NTE_NO_KEY there is no such key
0x8009000F NTE_EXISTS the key is there already
0x80090010 NTE_PERM the account may not use the key
0x80090011 NTE_NOT_FOUND the key was not found
0x80090014 NTE_BAD_PROV_TYPE the provider is of another type: often a CNG key where a CSP key is needed
0x80090016 NTE_BAD_KEYSET the key container does not exist, or may not be opened
0x80090017 NTE_PROV_TYPE_NOT_DEF there is no provider of that type
0x80090019 NTE_KEYSET_NOT_DEF there is no such provider
0x8009001D NTE_PROVIDER_DLL_FAIL the provider's DLL could not be started
0x80090020 NTE_FAIL the provider failed
0x80090022 NTE_SILENT_CONTEXT the provider wants to ask the user, and there is none
0x80090029 NTE_NOT_SUPPORTED the key's provider cannot do that
0x8009002D NTE_INTERNAL_ERROR the provider failed
0x80092002 CRYPT_E_BAD_ENCODE what was read is not encoded as it should be
0x80092004 CRYPT_E_NOT_FOUND the certificate, or its key, was not found
0x80092009 CRYPT_E_NO_MATCH no certificate matches
0x8009200B CRYPT_E_NO_KEY_PROPERTY the certificate has no private key here
0x8009200C CRYPT_E_NO_DECRYPT_CERT there is no certificate with a key to decrypt this
0x80092010 CRYPT_E_REVOKED the certificate was revoked
0x80092011 CRYPT_E_NO_REVOCATION_DLL revocation cannot be checked by this machine
0x80092012 CRYPT_E_NO_REVOCATION_CHECK the certificate names nothing by which its revocation could be checked
0x80092013 CRYPT_E_REVOCATION_OFFLINE the revocation service could not be reached
0x80093102 CRYPT_E_ASN1_EOD the data end too early
0x8009310B CRYPT_E_ASN1_BADTAG the data are not what was expected: a wrong file, or a wrong password
0x80096004 TRUST_E_CERT_SIGNATURE the certificate's signature is wrong
0x80096010 TRUST_E_BAD_DIGEST the signed content was changed
0x80096019 TRUST_E_BASIC_CONSTRAINTS a certificate was signed by one that is no authority
0x800B0100 TRUST_E_NOSIGNATURE there is no signature
0x800B0101 CERT_E_EXPIRED the certificate has expired, is not valid yet, or a clock is wrong
0x800B0102 CERT_E_VALIDITYPERIODNESTING an issuer's certificate is not valid for as long
0x800B0103 CERT_E_ROLE an authority's certificate is used as another kind, or the other way round
0x800B0104 CERT_E_PATHLENCONST the chain is longer than an authority allows
0x800B0105 CERT_E_CRITICAL a critical extension is not understood
0x800B0106 CERT_E_PURPOSE the certificate is not meant for this
0x800B0107 CERT_E_ISSUERCHAINING the issuer given did not issue it
0x800B0108 CERT_E_MALFORMED the certificate is malformed
0x800B0109 CERT_E_UNTRUSTEDROOT the chain ends at a root that is not trusted here
0x800B010A CERT_E_CHAINING no chain to a trusted root can be built: an intermediate or the root is missing
0x800B010B TRUST_E_FAIL the trust check failed
0x800B010C CERT_E_REVOKED the certificate was revoked
0x800B010D CERT_E_UNTRUSTEDTESTROOT the chain ends at a root for tests
0x800B010E CERT_E_REVOCATION_FAILURE revocation could not be checked
0x800B010F CERT_E_CN_NO_MATCH the certificate is for another name
0x800B0110 CERT_E_WRONG_USAGE the certificate is not meant for this
0x800B0111 TRUST_E_EXPLICIT_DISTRUST this machine was told to distrust the certificate
0x800B0112 CERT_E_UNTRUSTEDCA an authority in the chain is not trusted here
0x800B0113 CERT_E_INVALID_POLICY the certificate's policies do not fit
0x800B0114 CERT_E_INVALID_NAME the authority may not issue for that name
"""

COM_CODES = """
0x80004001 E_NOTIMPL it is not implemented
0x80004002 E_NOINTERFACE the component lacks that interface
0x80004003 E_POINTER a pointer is missing: a bug of the program
0x80004004 E_ABORT it was aborted
0x80004005 E_FAIL it failed, without a word why
0x8000FFFF E_UNEXPECTED it failed in a way that was not foreseen
0x80010105 RPC_E_SERVERFAULT the component's process failed
0x80010108 RPC_E_DISCONNECTED the component's process has ended
0x80040154 REGDB_E_CLASSNOTREG a component (COM class) is not registered: not installed, or of the other bitness
0x800401F0 CO_E_NOTINITIALIZED COM was not started in that thread
0x80080005 CO_E_SERVER_EXEC_FAILURE the component's process could not be started
"""

DOTNET_CODES = """
0x80131040 FUSION_E_REF_DEF_MISMATCH an assembly was found in another version than the one asked for
0x80131044 FUSION_E_PRIVATE_ASM_DISALLOWED an assembly lacks the strong name that it must have
0x80131047 FUSION_E_INVALID_NAME the assembly's name is not valid
0x80131013 COR_E_TYPEUNLOADED a type's code is not loaded any more
0x80131430 CORSEC_E_CRYPTO cryptography failed
0x80131500 COR_E_EXCEPTION an exception without a number of its own
0x80131501 COR_E_SYSTEM an exception of the system
0x80131502 COR_E_ARGUMENTOUTOFRANGE an argument was out of range
0x80131505 COR_E_TIMEOUT it took too long
0x80131506 COR_E_EXECUTIONENGINE the .NET runtime itself failed
0x80131508 COR_E_INDEXOUTOFRANGE an index was out of range
0x80131509 COR_E_INVALIDOPERATION the operation was not valid in that state
0x8013150A COR_E_SECURITY code lacks a permission
0x8013150C COR_E_SERIALIZATION data could not be serialised
0x80131513 COR_E_MISSINGMETHOD an assembly lacks a method: it is of another version
0x80131515 COR_E_NOTSUPPORTED it is not supported
0x80131522 COR_E_TYPELOAD a type could not be loaded: an assembly of another version
0x80131524 COR_E_DLLNOTFOUND a DLL was not found
0x80131534 COR_E_TYPEINITIALIZATION a type could not be initialised; the inner exception says why
0x80131537 COR_E_FORMAT a text was not in the expected form
0x80131600 COR_E_APPLICATION an exception of the application
0x80131603 COR_E_TARGET a call by reflection failed
0x80131604 COR_E_TARGETINVOCATION a call failed; the inner exception says why
0x80131620 COR_E_IO reading or writing failed
0x80131621 COR_E_FILELOAD an assembly was found, and could not be loaded
0x8013153D COR_E_INSUFFICIENTMEMORY there was not enough memory
0x80131018 COR_E_ASSEMBLYEXPECTED a file is no assembly
0x80131700 CLR_E_SHIM_RUNTIMELOAD no suitable version of .NET Framework is installed
"""
