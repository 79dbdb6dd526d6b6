"""NIST's PKITS (Public Key Interoperability Test Suite 1.0.1, csrc.nist.gov), sections 4.1 to 4.16.

The certificates and lists are those of the package ``cryptography_vectors``. Which of them a test uses, with which
inputs, and what must come out, stands in ``TESTS``.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from netdiag.pki.api import verify_certificate
from netdiag.pki.policies import ANY
from tests.support import require_modules

require_modules("cryptography_vectors")

import cryptography_vectors  # noqa: E402 - only where it is installed

DATA = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
ANCHOR = "TrustAnchorRoot"
#: Within the validity of what is valid, and past the end of what is expired.
AT = datetime.datetime(2022, 5, 1, tzinfo=datetime.UTC)
#: NIST-test-policy-1 and its sisters end in their number.
POLICY = "2.16.840.1.101.3.2.1.48."
YES, NO = True, False


@dataclass(frozen=True)
class Test:
    """One test: its end entity, the intermediate and helping certificates, and its verdict.

    ``crls`` are the lists besides the anchor's; by default one of each authority that is not self-issued, since those
    share the list of their name. ``policies`` is the user's initial set, by last number, else any.
    """

    __test__ = False

    number: str
    end_entity: str
    accepted: bool
    authorities: str = ""
    crls: str | None = None
    policies: str = ""
    explicit: bool = False
    no_mapping: bool = False
    no_any: bool = False

    @property
    def lists(self) -> list[str]:
        if self.crls is not None:
            return self.crls.split()
        return [entry for entry in self.authorities.split() if "SelfIssued" not in entry]

    def __str__(self) -> str:
        flags = ("explicit", "no_mapping", "no_any")
        inputs = [*self.policies.split(), *(flag for flag in flags if getattr(self, flag))]
        return " ".join([self.number, self.end_entity, *inputs])


TESTS = (
    # 4.1 Signature verification
    Test("4.1.1", "ValidCertificatePathTest1", YES, "GoodCA"),
    Test("4.1.2", "InvalidCASignatureTest2", NO, "BadSignedCA"),
    Test("4.1.3", "InvalidEESignatureTest3", NO, "GoodCA"),
    Test("4.1.4", "ValidDSASignaturesTest4", YES, "DSACA"),
    Test("4.1.5", "ValidDSAParameterInheritanceTest5", YES, "DSACA DSAParametersInheritedCA"),
    Test("4.1.6", "InvalidDSASignatureTest6", NO, "DSACA"),
    # 4.2 Validity periods
    Test("4.2.1", "InvalidCAnotBeforeDateTest1", NO, "BadnotBeforeDateCA"),
    Test("4.2.2", "InvalidEEnotBeforeDateTest2", NO, "GoodCA"),
    Test("4.2.3", "Validpre2000UTCnotBeforeDateTest3", YES, "GoodCA"),
    Test("4.2.4", "ValidGeneralizedTimenotBeforeDateTest4", YES, "GoodCA"),
    Test("4.2.5", "InvalidCAnotAfterDateTest5", NO, "BadnotAfterDateCA"),
    Test("4.2.6", "InvalidEEnotAfterDateTest6", NO, "GoodCA"),
    Test("4.2.7", "Invalidpre2000UTCEEnotAfterDateTest7", NO, "GoodCA"),
    Test("4.2.8", "ValidGeneralizedTimenotAfterDateTest8", YES, "GoodCA"),
    # 4.3 Name chaining
    Test("4.3.1", "InvalidNameChainingTest1", NO, "GoodCA"),
    Test("4.3.2", "InvalidNameChainingOrderTest2", NO, "NameOrderingCA", crls="NameOrderCA"),
    Test("4.3.3", "ValidNameChainingWhitespaceTest3", YES, "GoodCA"),
    Test("4.3.4", "ValidNameChainingWhitespaceTest4", YES, "GoodCA"),
    Test("4.3.5", "ValidNameChainingCapitalizationTest5", YES, "GoodCA"),
    Test("4.3.6", "ValidNameUIDsTest6", YES, "UIDCA"),
    Test("4.3.7", "ValidRFC3280MandatoryAttributeTypesTest7", YES, "RFC3280MandatoryAttributeTypesCA"),
    Test("4.3.8", "ValidRFC3280OptionalAttributeTypesTest8", YES, "RFC3280OptionalAttributeTypesCA"),
    Test("4.3.9", "ValidUTF8StringEncodedNamesTest9", YES, "UTF8StringEncodedNamesCA"),
    Test(
        "4.3.10", "ValidRolloverfromPrintableStringtoUTF8StringTest10", YES, "RolloverfromPrintableStringtoUTF8StringCA"
    ),
    Test("4.3.11", "ValidUTF8StringCaseInsensitiveMatchTest11", YES, "UTF8StringCaseInsensitiveMatchCA"),
    # 4.4 Basic certificate revocation
    Test("4.4.1", "InvalidMissingCRLTest1", NO, "NoCRLCA", crls=""),
    Test("4.4.2", "InvalidRevokedCATest2", NO, "RevokedsubCA GoodCA"),
    Test("4.4.3", "InvalidRevokedEETest3", NO, "GoodCA"),
    Test("4.4.4", "InvalidBadCRLSignatureTest4", NO, "BadCRLSignatureCA"),
    Test("4.4.5", "InvalidBadCRLIssuerNameTest5", NO, "BadCRLIssuerNameCA"),
    Test("4.4.6", "InvalidWrongCRLTest6", NO, "WrongCRLCA", crls=""),
    Test("4.4.7", "ValidTwoCRLsTest7", YES, "TwoCRLsCA", crls="TwoCRLsCAGood TwoCRLsCABad"),
    Test("4.4.8", "InvalidUnknownCRLEntryExtensionTest8", NO, "UnknownCRLEntryExtensionCA"),
    Test("4.4.9", "InvalidUnknownCRLExtensionTest9", NO, "UnknownCRLExtensionCA"),
    Test("4.4.10", "InvalidUnknownCRLExtensionTest10", NO, "UnknownCRLExtensionCA"),
    Test("4.4.11", "InvalidOldCRLnextUpdateTest11", NO, "OldCRLnextUpdateCA"),
    Test("4.4.12", "Invalidpre2000CRLnextUpdateTest12", NO, "pre2000CRLnextUpdateCA"),
    Test("4.4.13", "ValidGeneralizedTimeCRLnextUpdateTest13", YES, "GeneralizedTimeCRLnextUpdateCA"),
    Test("4.4.14", "ValidNegativeSerialNumberTest14", YES, "NegativeSerialNumberCA"),
    Test("4.4.15", "InvalidNegativeSerialNumberTest15", NO, "NegativeSerialNumberCA"),
    Test("4.4.16", "ValidLongSerialNumberTest16", YES, "LongSerialNumberCA"),
    Test("4.4.17", "ValidLongSerialNumberTest17", YES, "LongSerialNumberCA"),
    Test("4.4.18", "InvalidLongSerialNumberTest18", NO, "LongSerialNumberCA"),
    Test(
        "4.4.19",
        "ValidSeparateCertificateandCRLKeysTest19",
        YES,
        "SeparateCertificateandCRLKeysCertificateSigningCA SeparateCertificateandCRLKeysCRLSigning",
        crls="SeparateCertificateandCRLKeys",
    ),
    Test(
        "4.4.20",
        "InvalidSeparateCertificateandCRLKeysTest20",
        NO,
        "SeparateCertificateandCRLKeysCertificateSigningCA SeparateCertificateandCRLKeysCRLSigning",
        crls="SeparateCertificateandCRLKeys",
    ),
    Test(
        "4.4.21",
        "InvalidSeparateCertificateandCRLKeysTest21",
        NO,
        "SeparateCertificateandCRLKeysCA2CertificateSigningCA SeparateCertificateandCRLKeysCA2CRLSigning",
        crls="SeparateCertificateandCRLKeysCA2",
    ),
    # 4.5 Self-issued certificates
    Test(
        "4.5.1",
        "ValidBasicSelfIssuedOldWithNewTest1",
        YES,
        "BasicSelfIssuedNewKeyOldWithNewCA BasicSelfIssuedNewKeyCA",
        crls="BasicSelfIssuedNewKeyCA",
    ),
    Test(
        "4.5.2",
        "InvalidBasicSelfIssuedOldWithNewTest2",
        NO,
        "BasicSelfIssuedNewKeyOldWithNewCA BasicSelfIssuedNewKeyCA",
        crls="BasicSelfIssuedNewKeyCA",
    ),
    Test(
        "4.5.3",
        "ValidBasicSelfIssuedNewWithOldTest3",
        YES,
        "BasicSelfIssuedOldKeyCA BasicSelfIssuedOldKeyNewWithOldCA",
        crls="BasicSelfIssuedOldKeySelfIssuedCert BasicSelfIssuedOldKeyCA",
    ),
    Test(
        "4.5.4",
        "ValidBasicSelfIssuedNewWithOldTest4",
        YES,
        "BasicSelfIssuedOldKeyCA BasicSelfIssuedOldKeyNewWithOldCA",
        crls="BasicSelfIssuedOldKeySelfIssuedCert BasicSelfIssuedOldKeyCA",
    ),
    Test(
        "4.5.5",
        "InvalidBasicSelfIssuedNewWithOldTest5",
        NO,
        "BasicSelfIssuedOldKeyCA BasicSelfIssuedOldKeyNewWithOldCA",
        crls="BasicSelfIssuedOldKeySelfIssuedCert BasicSelfIssuedOldKeyCA",
    ),
    Test(
        "4.5.6",
        "ValidBasicSelfIssuedCRLSigningKeyTest6",
        YES,
        "BasicSelfIssuedCRLSigningKeyCA BasicSelfIssuedCRLSigningKeyCRL",
        crls="BasicSelfIssuedCRLSigningKeyCRLCert BasicSelfIssuedCRLSigningKeyCA",
    ),
    Test(
        "4.5.7",
        "InvalidBasicSelfIssuedCRLSigningKeyTest7",
        NO,
        "BasicSelfIssuedCRLSigningKeyCA BasicSelfIssuedCRLSigningKeyCRL",
        crls="BasicSelfIssuedCRLSigningKeyCRLCert BasicSelfIssuedCRLSigningKeyCA",
    ),
    Test(
        "4.5.8",
        "InvalidBasicSelfIssuedCRLSigningKeyTest8",
        NO,
        "BasicSelfIssuedCRLSigningKeyCA BasicSelfIssuedCRLSigningKeyCRL",
        crls="BasicSelfIssuedCRLSigningKeyCRLCert BasicSelfIssuedCRLSigningKeyCA",
    ),
    # 4.6 Basic constraints
    Test("4.6.1", "InvalidMissingbasicConstraintsTest1", NO, "MissingbasicConstraintsCA"),
    Test("4.6.2", "InvalidcAFalseTest2", NO, "basicConstraintsCriticalcAFalseCA"),
    Test("4.6.3", "InvalidcAFalseTest3", NO, "basicConstraintsNotCriticalcAFalseCA"),
    Test("4.6.4", "ValidbasicConstraintsNotCriticalTest4", YES, "basicConstraintsNotCriticalCA"),
    Test("4.6.5", "InvalidpathLenConstraintTest5", NO, "pathLenConstraint0CA pathLenConstraint0subCA"),
    Test("4.6.6", "InvalidpathLenConstraintTest6", NO, "pathLenConstraint0CA pathLenConstraint0subCA"),
    Test("4.6.7", "ValidpathLenConstraintTest7", YES, "pathLenConstraint0CA"),
    Test("4.6.8", "ValidpathLenConstraintTest8", YES, "pathLenConstraint0CA"),
    Test(
        "4.6.9",
        "InvalidpathLenConstraintTest9",
        NO,
        "pathLenConstraint6CA pathLenConstraint6subCA0 pathLenConstraint6subsubCA00",
    ),
    Test(
        "4.6.10",
        "InvalidpathLenConstraintTest10",
        NO,
        "pathLenConstraint6CA pathLenConstraint6subCA0 pathLenConstraint6subsubCA00",
    ),
    Test(
        "4.6.11",
        "InvalidpathLenConstraintTest11",
        NO,
        "pathLenConstraint6CA pathLenConstraint6subCA1 pathLenConstraint6subsubCA11 pathLenConstraint6subsubsubCA11X",
    ),
    Test(
        "4.6.12",
        "InvalidpathLenConstraintTest12",
        NO,
        "pathLenConstraint6CA pathLenConstraint6subCA1 pathLenConstraint6subsubCA11 pathLenConstraint6subsubsubCA11X",
    ),
    Test(
        "4.6.13",
        "ValidpathLenConstraintTest13",
        YES,
        "pathLenConstraint6CA pathLenConstraint6subCA4 pathLenConstraint6subsubCA41 pathLenConstraint6subsubsubCA41X",
    ),
    Test(
        "4.6.14",
        "ValidpathLenConstraintTest14",
        YES,
        "pathLenConstraint6CA pathLenConstraint6subCA4 pathLenConstraint6subsubCA41 pathLenConstraint6subsubsubCA41X",
    ),
    Test(
        "4.6.15", "ValidSelfIssuedpathLenConstraintTest15", YES, "pathLenConstraint0CA pathLenConstraint0SelfIssuedCA"
    ),
    Test(
        "4.6.16",
        "InvalidSelfIssuedpathLenConstraintTest16",
        NO,
        "pathLenConstraint0CA pathLenConstraint0SelfIssuedCA pathLenConstraint0subCA2",
    ),
    Test(
        "4.6.17",
        "ValidSelfIssuedpathLenConstraintTest17",
        YES,
        "pathLenConstraint1CA pathLenConstraint1SelfIssuedCA pathLenConstraint1subCA pathLenConstraint1SelfIssuedsubCA",
    ),
    # 4.7 Key usage
    Test("4.7.1", "InvalidkeyUsageCriticalkeyCertSignFalseTest1", NO, "keyUsageCriticalkeyCertSignFalseCA"),
    Test("4.7.2", "InvalidkeyUsageNotCriticalkeyCertSignFalseTest2", NO, "keyUsageNotCriticalkeyCertSignFalseCA"),
    Test("4.7.3", "ValidkeyUsageNotCriticalTest3", YES, "keyUsageNotCriticalCA"),
    Test("4.7.4", "InvalidkeyUsageCriticalcRLSignFalseTest4", NO, "keyUsageCriticalcRLSignFalseCA"),
    Test("4.7.5", "InvalidkeyUsageNotCriticalcRLSignFalseTest5", NO, "keyUsageNotCriticalcRLSignFalseCA"),
    # 4.8 Certificate policies
    Test("4.8.1", "ValidCertificatePathTest1", YES, "GoodCA"),
    Test("4.8.1", "ValidCertificatePathTest1", YES, "GoodCA", explicit=True),
    Test("4.8.1", "ValidCertificatePathTest1", YES, "GoodCA", policies="1", explicit=True),
    Test("4.8.1", "ValidCertificatePathTest1", NO, "GoodCA", policies="2", explicit=True),
    Test("4.8.1", "ValidCertificatePathTest1", YES, "GoodCA", policies="2"),
    Test("4.8.1", "ValidCertificatePathTest1", YES, "GoodCA", policies="1 2"),
    Test("4.8.2", "AllCertificatesNoPoliciesTest2", YES, "NoPoliciesCA"),
    Test("4.8.2", "AllCertificatesNoPoliciesTest2", NO, "NoPoliciesCA", explicit=True),
    Test("4.8.3", "DifferentPoliciesTest3", YES, "GoodCA PoliciesP2subCA"),
    Test("4.8.3", "DifferentPoliciesTest3", NO, "GoodCA PoliciesP2subCA", explicit=True),
    Test("4.8.3", "DifferentPoliciesTest3", NO, "GoodCA PoliciesP2subCA", policies="1 2", explicit=True),
    Test("4.8.4", "DifferentPoliciesTest4", NO, "GoodCA GoodsubCA"),
    Test("4.8.5", "DifferentPoliciesTest5", NO, "GoodCA PoliciesP2subCA2"),
    Test(
        "4.8.6", "OverlappingPoliciesTest6", YES, "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12"
    ),
    Test(
        "4.8.6",
        "OverlappingPoliciesTest6",
        YES,
        "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12",
        policies="1",
    ),
    Test(
        "4.8.6",
        "OverlappingPoliciesTest6",
        NO,
        "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12",
        policies="2",
    ),
    Test(
        "4.8.6",
        "OverlappingPoliciesTest6",
        NO,
        "PoliciesP1234CA PoliciesP1234subCAP123 PoliciesP1234subsubCAP123P12",
        policies="2",
        explicit=True,
    ),
    Test("4.8.7", "DifferentPoliciesTest7", NO, "PoliciesP123CA PoliciesP123subCAP12 PoliciesP123subsubCAP12P1"),
    Test("4.8.8", "DifferentPoliciesTest8", NO, "PoliciesP12CA PoliciesP12subCAP1 PoliciesP12subsubCAP1P2"),
    Test(
        "4.8.9",
        "DifferentPoliciesTest9",
        NO,
        "PoliciesP123CA PoliciesP123subCAP12 PoliciesP123subsubCAP12P2 PoliciesP123subsubsubCAP12P2P1",
        crls="PoliciesP123CA PoliciesP123subCAP12 PoliciesP123subsubCAP2P2 PoliciesP123subsubsubCAP12P2P1",
    ),
    Test("4.8.10", "AllCertificatesSamePoliciesTest10", YES, "PoliciesP12CA"),
    Test("4.8.10", "AllCertificatesSamePoliciesTest10", YES, "PoliciesP12CA", policies="1"),
    Test("4.8.10", "AllCertificatesSamePoliciesTest10", YES, "PoliciesP12CA", policies="2"),
    Test("4.8.11", "AllCertificatesanyPolicyTest11", YES, "anyPolicyCA"),
    Test("4.8.11", "AllCertificatesanyPolicyTest11", YES, "anyPolicyCA", policies="1"),
    Test("4.8.12", "DifferentPoliciesTest12", NO, "PoliciesP3CA"),
    Test("4.8.13", "AllCertificatesSamePoliciesTest13", YES, "PoliciesP123CA"),
    Test("4.8.13", "AllCertificatesSamePoliciesTest13", YES, "PoliciesP123CA", policies="1"),
    Test("4.8.13", "AllCertificatesSamePoliciesTest13", YES, "PoliciesP123CA", policies="2"),
    Test("4.8.13", "AllCertificatesSamePoliciesTest13", YES, "PoliciesP123CA", policies="3"),
    Test("4.8.13", "AllCertificatesSamePoliciesTest13", YES, "PoliciesP123CA", policies="1 2"),
    Test("4.8.14", "AnyPolicyTest14", YES, "anyPolicyCA"),
    Test("4.8.14", "AnyPolicyTest14", YES, "anyPolicyCA", policies="1"),
    Test("4.8.14", "AnyPolicyTest14", YES, "anyPolicyCA", policies="1 2"),
    Test("4.8.14", "AnyPolicyTest14", NO, "anyPolicyCA", policies="2"),
    Test("4.8.15", "UserNoticeQualifierTest15", YES),
    Test("4.8.16", "UserNoticeQualifierTest16", YES, "GoodCA"),
    Test("4.8.17", "UserNoticeQualifierTest17", YES, "GoodCA"),
    Test("4.8.18", "UserNoticeQualifierTest18", YES, "PoliciesP12CA", policies="1"),
    Test("4.8.18", "UserNoticeQualifierTest18", YES, "PoliciesP12CA", policies="2"),
    Test("4.8.19", "UserNoticeQualifierTest19", YES),
    Test("4.8.20", "CPSPointerQualifierTest20", YES, "GoodCA"),
    # 4.9 Require explicit policy
    Test(
        "4.9.1",
        "ValidrequireExplicitPolicyTest1",
        YES,
        "requireExplicitPolicy10CA requireExplicitPolicy10subCA "
        "requireExplicitPolicy10subsubCA requireExplicitPolicy10subsubsubCA",
    ),
    Test(
        "4.9.2",
        "ValidrequireExplicitPolicyTest2",
        YES,
        "requireExplicitPolicy5CA requireExplicitPolicy5subCA "
        "requireExplicitPolicy5subsubCA requireExplicitPolicy5subsubsubCA",
    ),
    Test(
        "4.9.3",
        "InvalidrequireExplicitPolicyTest3",
        NO,
        "requireExplicitPolicy4CA requireExplicitPolicy4subCA "
        "requireExplicitPolicy4subsubCA requireExplicitPolicy4subsubsubCA",
    ),
    Test(
        "4.9.4",
        "ValidrequireExplicitPolicyTest4",
        YES,
        "requireExplicitPolicy0CA requireExplicitPolicy0subCA "
        "requireExplicitPolicy0subsubCA requireExplicitPolicy0subsubsubCA",
    ),
    Test(
        "4.9.5",
        "InvalidrequireExplicitPolicyTest5",
        NO,
        "requireExplicitPolicy7CA requireExplicitPolicy7subCARE2 "
        "requireExplicitPolicy7subsubCARE2RE4 requireExplicitPolicy7subsubsubCARE2RE4",
    ),
    Test(
        "4.9.6",
        "ValidSelfIssuedrequireExplicitPolicyTest6",
        YES,
        "requireExplicitPolicy2CA requireExplicitPolicy2SelfIssuedCA",
    ),
    Test(
        "4.9.7",
        "InvalidSelfIssuedrequireExplicitPolicyTest7",
        NO,
        "requireExplicitPolicy2CA requireExplicitPolicy2SelfIssuedCA requireExplicitPolicy2subCA",
    ),
    Test(
        "4.9.8",
        "InvalidSelfIssuedrequireExplicitPolicyTest8",
        NO,
        "requireExplicitPolicy2CA requireExplicitPolicy2SelfIssuedCA "
        "requireExplicitPolicy2subCA requireExplicitPolicy2SelfIssuedsubCA",
    ),
    # 4.10 Policy mappings
    Test("4.10.1", "ValidPolicyMappingTest1", YES, "Mapping1to2CA", policies="1"),
    Test("4.10.1", "ValidPolicyMappingTest1", NO, "Mapping1to2CA", policies="2"),
    Test("4.10.1", "ValidPolicyMappingTest1", NO, "Mapping1to2CA", no_mapping=True),
    Test("4.10.1", "ValidPolicyMappingTest1", NO, "Mapping1to2CA", policies="1", no_mapping=True),
    Test("4.10.2", "InvalidPolicyMappingTest2", NO, "Mapping1to2CA"),
    Test("4.10.2", "InvalidPolicyMappingTest2", NO, "Mapping1to2CA", no_mapping=True),
    Test(
        "4.10.3",
        "ValidPolicyMappingTest3",
        NO,
        "P12Mapping1to3CA P12Mapping1to3subCA P12Mapping1to3subsubCA",
        policies="1",
    ),
    Test(
        "4.10.3",
        "ValidPolicyMappingTest3",
        YES,
        "P12Mapping1to3CA P12Mapping1to3subCA P12Mapping1to3subsubCA",
        policies="2",
    ),
    Test("4.10.4", "InvalidPolicyMappingTest4", NO, "P12Mapping1to3CA P12Mapping1to3subCA P12Mapping1to3subsubCA"),
    Test("4.10.5", "ValidPolicyMappingTest5", YES, "P1Mapping1to234CA P1Mapping1to234subCA", policies="1"),
    Test("4.10.5", "ValidPolicyMappingTest5", NO, "P1Mapping1to234CA P1Mapping1to234subCA", policies="6"),
    Test("4.10.6", "ValidPolicyMappingTest6", YES, "P1Mapping1to234CA P1Mapping1to234subCA", policies="1"),
    Test("4.10.6", "ValidPolicyMappingTest6", NO, "P1Mapping1to234CA P1Mapping1to234subCA", policies="6"),
    Test("4.10.7", "InvalidMappingFromanyPolicyTest7", NO, "MappingFromanyPolicyCA"),
    Test("4.10.8", "InvalidMappingToanyPolicyTest8", NO, "MappingToanyPolicyCA"),
    Test("4.10.9", "ValidPolicyMappingTest9", YES, "PanyPolicyMapping1to2CA"),
    Test("4.10.10", "InvalidPolicyMappingTest10", NO, "GoodCA GoodsubCAPanyPolicyMapping1to2CA"),
    Test("4.10.11", "ValidPolicyMappingTest11", YES, "GoodCA GoodsubCAPanyPolicyMapping1to2CA"),
    Test("4.10.12", "ValidPolicyMappingTest12", YES, "P12Mapping1to3CA", policies="1"),
    Test("4.10.12", "ValidPolicyMappingTest12", YES, "P12Mapping1to3CA", policies="2"),
    Test("4.10.13", "ValidPolicyMappingTest13", YES, "P1anyPolicyMapping1to2CA"),
    Test("4.10.14", "ValidPolicyMappingTest14", YES, "P1anyPolicyMapping1to2CA"),
    # 4.11 Inhibit policy mapping
    Test("4.11.1", "InvalidinhibitPolicyMappingTest1", NO, "inhibitPolicyMapping0CA inhibitPolicyMapping0subCA"),
    Test("4.11.2", "ValidinhibitPolicyMappingTest2", YES, "inhibitPolicyMapping1P12CA inhibitPolicyMapping1P12subCA"),
    Test(
        "4.11.3",
        "InvalidinhibitPolicyMappingTest3",
        NO,
        "inhibitPolicyMapping1P12CA inhibitPolicyMapping1P12subCA inhibitPolicyMapping1P12subsubCA",
    ),
    Test(
        "4.11.4",
        "ValidinhibitPolicyMappingTest4",
        YES,
        "inhibitPolicyMapping1P12CA inhibitPolicyMapping1P12subCA inhibitPolicyMapping1P12subsubCA",
    ),
    Test(
        "4.11.5",
        "InvalidinhibitPolicyMappingTest5",
        NO,
        "inhibitPolicyMapping5CA inhibitPolicyMapping5subCA "
        "inhibitPolicyMapping5subsubCA inhibitPolicyMapping5subsubsubCA",
    ),
    Test(
        "4.11.6",
        "InvalidinhibitPolicyMappingTest6",
        NO,
        "inhibitPolicyMapping1P12CA inhibitPolicyMapping1P12subCAIPM5 inhibitPolicyMapping1P12subsubCAIPM5",
    ),
    Test(
        "4.11.7",
        "ValidSelfIssuedinhibitPolicyMappingTest7",
        YES,
        "inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA inhibitPolicyMapping1P1subCA",
    ),
    Test(
        "4.11.8",
        "InvalidSelfIssuedinhibitPolicyMappingTest8",
        NO,
        "inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA "
        "inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1subsubCA",
    ),
    Test(
        "4.11.9",
        "InvalidSelfIssuedinhibitPolicyMappingTest9",
        NO,
        "inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA "
        "inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1subsubCA",
    ),
    Test(
        "4.11.10",
        "InvalidSelfIssuedinhibitPolicyMappingTest10",
        NO,
        "inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA "
        "inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1SelfIssuedsubCA",
    ),
    Test(
        "4.11.11",
        "InvalidSelfIssuedinhibitPolicyMappingTest11",
        NO,
        "inhibitPolicyMapping1P1CA inhibitPolicyMapping1P1SelfIssuedCA "
        "inhibitPolicyMapping1P1subCA inhibitPolicyMapping1P1SelfIssuedsubCA",
    ),
    # 4.12 Inhibit any policy
    Test("4.12.1", "InvalidinhibitAnyPolicyTest1", NO, "inhibitAnyPolicy0CA"),
    Test("4.12.2", "ValidinhibitAnyPolicyTest2", YES, "inhibitAnyPolicy0CA"),
    Test("4.12.3", "inhibitAnyPolicyTest3", YES, "inhibitAnyPolicy1CA inhibitAnyPolicy1subCA1"),
    Test("4.12.3", "inhibitAnyPolicyTest3", NO, "inhibitAnyPolicy1CA inhibitAnyPolicy1subCA1", no_any=True),
    Test("4.12.4", "InvalidinhibitAnyPolicyTest4", NO, "inhibitAnyPolicy1CA inhibitAnyPolicy1subCA1"),
    Test(
        "4.12.5",
        "InvalidinhibitAnyPolicyTest5",
        NO,
        "inhibitAnyPolicy5CA inhibitAnyPolicy5subCA inhibitAnyPolicy5subsubCA",
    ),
    Test("4.12.6", "InvalidinhibitAnyPolicyTest6", NO, "inhibitAnyPolicy1CA inhibitAnyPolicy1subCAIAP5"),
    Test(
        "4.12.7",
        "ValidSelfIssuedinhibitAnyPolicyTest7",
        YES,
        "inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA inhibitAnyPolicy1subCA2",
    ),
    Test(
        "4.12.8",
        "InvalidSelfIssuedinhibitAnyPolicyTest8",
        NO,
        "inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA inhibitAnyPolicy1subCA2 inhibitAnyPolicy1subsubCA2",
    ),
    Test(
        "4.12.9",
        "ValidSelfIssuedinhibitAnyPolicyTest9",
        YES,
        "inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA inhibitAnyPolicy1subCA2 inhibitAnyPolicy1SelfIssuedsubCA2",
    ),
    Test(
        "4.12.10",
        "InvalidSelfIssuedinhibitAnyPolicyTest10",
        NO,
        "inhibitAnyPolicy1CA inhibitAnyPolicy1SelfIssuedCA inhibitAnyPolicy1subCA2",
    ),
    # 4.13 Name constraints
    Test("4.13.1", "ValidDNnameConstraintsTest1", YES, "nameConstraintsDN1CA"),
    Test("4.13.2", "InvalidDNnameConstraintsTest2", NO, "nameConstraintsDN1CA"),
    Test("4.13.3", "InvalidDNnameConstraintsTest3", NO, "nameConstraintsDN1CA"),
    Test("4.13.4", "ValidDNnameConstraintsTest4", YES, "nameConstraintsDN1CA"),
    Test("4.13.5", "ValidDNnameConstraintsTest5", YES, "nameConstraintsDN2CA"),
    Test("4.13.6", "ValidDNnameConstraintsTest6", YES, "nameConstraintsDN3CA"),
    Test("4.13.7", "InvalidDNnameConstraintsTest7", NO, "nameConstraintsDN3CA"),
    Test("4.13.8", "InvalidDNnameConstraintsTest8", NO, "nameConstraintsDN4CA"),
    Test("4.13.9", "InvalidDNnameConstraintsTest9", NO, "nameConstraintsDN4CA"),
    Test("4.13.10", "InvalidDNnameConstraintsTest10", NO, "nameConstraintsDN5CA"),
    Test("4.13.11", "ValidDNnameConstraintsTest11", YES, "nameConstraintsDN5CA"),
    Test("4.13.12", "InvalidDNnameConstraintsTest12", NO, "nameConstraintsDN1CA nameConstraintsDN1subCA1"),
    Test("4.13.13", "InvalidDNnameConstraintsTest13", NO, "nameConstraintsDN1CA nameConstraintsDN1subCA2"),
    Test("4.13.14", "ValidDNnameConstraintsTest14", YES, "nameConstraintsDN1CA nameConstraintsDN1subCA2"),
    Test("4.13.15", "InvalidDNnameConstraintsTest15", NO, "nameConstraintsDN3CA nameConstraintsDN3subCA1"),
    Test("4.13.16", "InvalidDNnameConstraintsTest16", NO, "nameConstraintsDN3CA nameConstraintsDN3subCA1"),
    Test("4.13.17", "InvalidDNnameConstraintsTest17", NO, "nameConstraintsDN3CA nameConstraintsDN3subCA2"),
    Test("4.13.18", "ValidDNnameConstraintsTest18", YES, "nameConstraintsDN3CA nameConstraintsDN3subCA2"),
    Test("4.13.19", "ValidDNnameConstraintsTest19", YES, "nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA"),
    Test("4.13.20", "InvalidDNnameConstraintsTest20", NO, "nameConstraintsDN1CA nameConstraintsDN1SelfIssuedCA"),
    Test("4.13.21", "ValidRFC822nameConstraintsTest21", YES, "nameConstraintsRFC822CA1"),
    Test("4.13.22", "InvalidRFC822nameConstraintsTest22", NO, "nameConstraintsRFC822CA1"),
    Test("4.13.23", "ValidRFC822nameConstraintsTest23", YES, "nameConstraintsRFC822CA2"),
    Test("4.13.24", "InvalidRFC822nameConstraintsTest24", NO, "nameConstraintsRFC822CA2"),
    Test("4.13.25", "ValidRFC822nameConstraintsTest25", YES, "nameConstraintsRFC822CA3"),
    Test("4.13.26", "InvalidRFC822nameConstraintsTest26", NO, "nameConstraintsRFC822CA3"),
    Test("4.13.27", "ValidDNandRFC822nameConstraintsTest27", YES, "nameConstraintsDN1CA nameConstraintsDN1subCA3"),
    Test("4.13.28", "InvalidDNandRFC822nameConstraintsTest28", NO, "nameConstraintsDN1CA nameConstraintsDN1subCA3"),
    Test("4.13.29", "InvalidDNandRFC822nameConstraintsTest29", NO, "nameConstraintsDN1CA nameConstraintsDN1subCA3"),
    Test("4.13.30", "ValidDNSnameConstraintsTest30", YES, "nameConstraintsDNS1CA"),
    Test("4.13.31", "InvalidDNSnameConstraintsTest31", NO, "nameConstraintsDNS1CA"),
    Test("4.13.32", "ValidDNSnameConstraintsTest32", YES, "nameConstraintsDNS2CA"),
    Test("4.13.33", "InvalidDNSnameConstraintsTest33", NO, "nameConstraintsDNS2CA"),
    Test("4.13.34", "ValidURInameConstraintsTest34", YES, "nameConstraintsURI1CA"),
    Test("4.13.35", "InvalidURInameConstraintsTest35", NO, "nameConstraintsURI1CA"),
    Test("4.13.36", "ValidURInameConstraintsTest36", YES, "nameConstraintsURI2CA"),
    Test("4.13.37", "InvalidURInameConstraintsTest37", NO, "nameConstraintsURI2CA"),
    Test("4.13.38", "InvalidDNSnameConstraintsTest38", NO, "nameConstraintsDNS1CA"),
    # 4.14 Distribution points
    Test("4.14.1", "ValiddistributionPointTest1", YES, "distributionPoint1CA"),
    Test("4.14.2", "InvaliddistributionPointTest2", NO, "distributionPoint1CA"),
    Test("4.14.3", "InvaliddistributionPointTest3", NO, "distributionPoint1CA"),
    Test("4.14.4", "ValiddistributionPointTest4", YES, "distributionPoint1CA"),
    Test("4.14.5", "ValiddistributionPointTest5", YES, "distributionPoint2CA"),
    Test("4.14.6", "InvaliddistributionPointTest6", NO, "distributionPoint2CA"),
    Test("4.14.7", "ValiddistributionPointTest7", YES, "distributionPoint2CA"),
    Test("4.14.8", "InvaliddistributionPointTest8", NO, "distributionPoint2CA"),
    Test("4.14.9", "InvaliddistributionPointTest9", NO, "distributionPoint2CA"),
    Test("4.14.10", "ValidNoissuingDistributionPointTest10", YES, "NoissuingDistributionPointCA"),
    Test("4.14.11", "InvalidonlyContainsUserCertsTest11", NO, "onlyContainsUserCertsCA"),
    Test("4.14.12", "InvalidonlyContainsCACertsTest12", NO, "onlyContainsCACertsCA"),
    Test("4.14.13", "ValidonlyContainsCACertsTest13", YES, "onlyContainsCACertsCA"),
    Test("4.14.14", "InvalidonlyContainsAttributeCertsTest14", NO, "onlyContainsAttributeCertsCA"),
    Test(
        "4.14.15",
        "InvalidonlySomeReasonsTest15",
        NO,
        "onlySomeReasonsCA1",
        crls="onlySomeReasonsCA1compromise onlySomeReasonsCA1otherreasons",
    ),
    Test(
        "4.14.16",
        "InvalidonlySomeReasonsTest16",
        NO,
        "onlySomeReasonsCA1",
        crls="onlySomeReasonsCA1compromise onlySomeReasonsCA1otherreasons",
    ),
    Test(
        "4.14.17",
        "InvalidonlySomeReasonsTest17",
        NO,
        "onlySomeReasonsCA2",
        crls="onlySomeReasonsCA2CRL1 onlySomeReasonsCA2CRL2",
    ),
    Test(
        "4.14.18",
        "ValidonlySomeReasonsTest18",
        YES,
        "onlySomeReasonsCA3",
        crls="onlySomeReasonsCA3compromise onlySomeReasonsCA3otherreasons",
    ),
    Test(
        "4.14.19",
        "ValidonlySomeReasonsTest19",
        YES,
        "onlySomeReasonsCA4",
        crls="onlySomeReasonsCA4compromise onlySomeReasonsCA4otherreasons",
    ),
    Test(
        "4.14.20",
        "InvalidonlySomeReasonsTest20",
        NO,
        "onlySomeReasonsCA4",
        crls="onlySomeReasonsCA4compromise onlySomeReasonsCA4otherreasons",
    ),
    Test(
        "4.14.21",
        "InvalidonlySomeReasonsTest21",
        NO,
        "onlySomeReasonsCA4",
        crls="onlySomeReasonsCA4compromise onlySomeReasonsCA4otherreasons",
    ),
    Test("4.14.22", "ValidIDPwithindirectCRLTest22", YES, "indirectCRLCA1"),
    Test("4.14.23", "InvalidIDPwithindirectCRLTest23", NO, "indirectCRLCA1"),
    Test("4.14.24", "ValidIDPwithindirectCRLTest24", YES, "indirectCRLCA1 indirectCRLCA2", crls="indirectCRLCA1"),
    Test("4.14.25", "ValidIDPwithindirectCRLTest25", YES, "indirectCRLCA1 indirectCRLCA2", crls="indirectCRLCA1"),
    Test("4.14.26", "InvalidIDPwithindirectCRLTest26", NO, "indirectCRLCA1 indirectCRLCA2", crls="indirectCRLCA1"),
    Test("4.14.27", "InvalidcRLIssuerTest27", NO, "GoodCA indirectCRLCA2", crls="GoodCA"),
    Test("4.14.28", "ValidcRLIssuerTest28", YES, "indirectCRLCA3 indirectCRLCA3cRLIssuer"),
    Test("4.14.29", "ValidcRLIssuerTest29", YES, "indirectCRLCA3 indirectCRLCA3cRLIssuer"),
    Test(
        "4.14.30", "ValidcRLIssuerTest30", YES, "indirectCRLCA4 indirectCRLCA4cRLIssuer", crls="indirectCRLCA4cRLIssuer"
    ),
    Test("4.14.31", "InvalidcRLIssuerTest31", NO, "indirectCRLCA5 indirectCRLCA6", crls="indirectCRLCA5"),
    Test("4.14.32", "InvalidcRLIssuerTest32", NO, "indirectCRLCA5 indirectCRLCA6", crls="indirectCRLCA5"),
    Test("4.14.33", "ValidcRLIssuerTest33", YES, "indirectCRLCA5 indirectCRLCA6", crls="indirectCRLCA5"),
    Test("4.14.34", "InvalidcRLIssuerTest34", NO, "indirectCRLCA5"),
    Test("4.14.35", "InvalidcRLIssuerTest35", NO, "indirectCRLCA5"),
    # 4.15 Delta CRLs
    Test("4.15.1", "InvaliddeltaCRLIndicatorNoBaseTest1", NO, "deltaCRLIndicatorNoBaseCA"),
    Test("4.15.2", "ValiddeltaCRLTest2", YES, "deltaCRLCA1", crls="deltaCRLCA1 deltaCRLCA1delta"),
    Test("4.15.3", "InvaliddeltaCRLTest3", NO, "deltaCRLCA1", crls="deltaCRLCA1 deltaCRLCA1delta"),
    Test("4.15.4", "InvaliddeltaCRLTest4", NO, "deltaCRLCA1", crls="deltaCRLCA1 deltaCRLCA1delta"),
    Test("4.15.5", "ValiddeltaCRLTest5", YES, "deltaCRLCA1", crls="deltaCRLCA1 deltaCRLCA1delta"),
    Test("4.15.6", "InvaliddeltaCRLTest6", NO, "deltaCRLCA1", crls="deltaCRLCA1 deltaCRLCA1delta"),
    Test("4.15.7", "ValiddeltaCRLTest7", YES, "deltaCRLCA1", crls="deltaCRLCA1 deltaCRLCA1delta"),
    Test("4.15.8", "ValiddeltaCRLTest8", YES, "deltaCRLCA2", crls="deltaCRLCA2 deltaCRLCA2delta"),
    Test("4.15.9", "InvaliddeltaCRLTest9", NO, "deltaCRLCA2", crls="deltaCRLCA2 deltaCRLCA2delta"),
    Test("4.15.10", "InvaliddeltaCRLTest10", NO, "deltaCRLCA3", crls="deltaCRLCA3 deltaCRLCA3delta"),
    # 4.16 Private certificate extensions
    Test("4.16.1", "ValidUnknownNotCriticalCertificateExtensionTest1", YES),
    Test("4.16.2", "InvalidUnknownCriticalCertificateExtensionTest2", NO),
)


@functools.cache
def certificate(stem: str) -> bytes:
    return (DATA / "certs" / f"{stem}.crt").read_bytes()


@functools.cache
def crl(stem: str) -> bytes:
    path = DATA / "crls" / f"{stem}CRL.crl"
    return (path if path.exists() else DATA / "crls" / f"{stem}.crl").read_bytes()


def authority(stem: str) -> bytes:
    """A CA's certificate; those of CRL signers have names of their own."""
    path = DATA / "certs" / f"{stem}Cert.crt"
    return path.read_bytes() if path.exists() else certificate(stem)


def trusted(test: Test, helpers: Iterable[bytes], lists: Iterable[bytes]) -> bool:
    policies = {POLICY + last for last in test.policies.split()}
    return verify_certificate(
        certificate(f"{test.end_entity}EE"),
        untrusted=helpers,
        trust=[certificate(f"{ANCHOR}Certificate")],
        at=AT,
        profile="rfc5280",
        crls=lists,
        user_initial_policy_set=policies or {ANY},
        initial_explicit_policy=test.explicit,
        initial_policy_mapping_inhibit=test.no_mapping,
        initial_any_policy_inhibit=test.no_any,
    ).trusted


@pytest.mark.parametrize("test", TESTS, ids=str)
def test_pkits(test: Test) -> None:
    helpers = [authority(stem) for stem in test.authorities.split()]
    assert trusted(test, helpers, [crl(stem) for stem in (ANCHOR, *test.lists)]) is test.accepted


@functools.cache
def everything(folder: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((DATA / folder).iterdir()) if not path.stem.endswith("EE"))


@pytest.mark.parametrize("test", TESTS, ids=str)
def test_pkits_with_everything_at_hand(test: Test) -> None:
    """Other tests' authorities and lists, many of one name, neither help nor harm."""
    assert trusted(test, everything("certs"), everything("crls")) is test.accepted


def test_every_end_entity_is_used() -> None:
    """Those of no test are in the suite's section on S/MIME only."""
    present = {path.stem.removesuffix("EE") for path in (DATA / "certs").glob("*EE.crt")}
    assert present - {test.end_entity for test in TESTS} == set()
