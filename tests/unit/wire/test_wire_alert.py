"""Alert names are identifiers that observations carry: they must be unique and complete."""

from netdiag.wire.alert import ALERTS, TlsAlertError, alert_meaning, alert_name


def test_names_and_meanings():
    names = [name for name, _ in ALERTS.values()]
    assert len(set(names)) == len(names)
    assert alert_name(116) == "certificate_required"
    assert alert_name(200) == "alert_200"
    assert all(alert_meaning(name) for name in names)
    assert alert_meaning("alert_200") == ""


def test_the_exception_speaks():
    assert str(TlsAlertError("access_denied")).startswith("access_denied: the certificate is valid")
    assert str(TlsAlertError("alert_200")) == "alert_200"
