"""Which proxy applies, and what the observation says decided."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import msgspec
import pytest

from netdiag.model import ProxySelection, Scheme, Target, UsageError
from netdiag.probes import proxy_selection
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline, Net, Step
from netdiag.probes.pac import PacError
from netdiag.probes.proxy_selection import (
    ProxyServer,
    matching_exception,
    parse_pac_answer,
    parse_proxy,
    select,
    without_credentials,
)

STEP = Step("proxy.selection")
TARGET = Target(host="wu2.frontend.example")


def machine(
    environment: dict[str, str] | None = None, *, system_settings: bool = False, net: Net | None = None
) -> Machine:
    def no_lookup(name: str) -> tuple[str, ...]:
        raise AssertionError(f"looked up {name}")

    return Machine(net=net or Net(lookup=no_lookup), environment=environment or {}, system_settings=system_settings)


def choose(
    setting: str = "system", on: Machine | None = None, target: Target = TARGET, seconds: float = 10
) -> tuple[ProxySelection, tuple[ProxyServer, ...]]:
    return select(on or machine(), target, setting, STEP, deadline=Deadline(seconds))


@pytest.mark.parametrize(
    ("text", "url", "user", "password"),
    [
        ("proxy:8080", "http://proxy:8080", "", ""),
        ("proxy", "http://proxy:80", "", ""),
        ("http://Proxy.Corp:3128/", "http://proxy.corp:3128", "", ""),
        ("https://proxy", "https://proxy:443", "", ""),
        ("HTTPS://proxy:1", "https://proxy:1", "", ""),
        ("socks5://proxy", "socks5://proxy:1080", "", ""),
        ("socks5h://proxy:9050", "socks5://proxy:9050", "", ""),
        ("socks://proxy", "socks5://proxy:1080", "", ""),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080", "", ""),
        ("[::1]:8080", "http://[::1]:8080", "", ""),
        ("http://10.0.0.1:8080", "http://10.0.0.1:8080", "", ""),
        ("http://u:p@proxy:1", "http://proxy:1", "u", "p"),
        ("u:p@proxy:1", "http://proxy:1", "u", "p"),
        ("http://dom%5Cu:p%40%3A%2F@proxy:1", "http://proxy:1", "dom\\u", "p@:/"),
        ("http://u:p@ss/word@proxy:1", "http://proxy:1", "u", "p@ss/word"),
        ("http://u@proxy:1", "http://proxy:1", "u", ""),
        ("http://bücher.example:1", "http://xn--bcher-kva.example:1", "", ""),
    ],
)
def test_a_proxy_is_read(text: str, url: str, user: str, password: str) -> None:
    server = parse_proxy(text)
    assert (server.url, server.user, server.password) == (url, user, password)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no valid host"),
        ("http://", "no valid host"),
        ("http://:8080", "no valid host"),
        ("http://pro xy:1", "no valid host"),
        ("http://-x:1", "no valid host"),
        ("http://proxy:99999", "port '99999'"),
        ("http://proxy:0", "port '0'"),
        ("http://proxy:port", "port 'port'"),
        ("http://[::1]x", "port '?'"),
        ("socks4://proxy", "the scheme is 'socks4'"),
        ("ftp://proxy", "the scheme is 'ftp'"),
        ("http://proxy/proxy.pac", "write pac:URL"),
        ("http://user:hunter2@proxy:x", "port 'x'"),
    ],
)
def test_a_malformed_proxy_is_one_line_without_credentials(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("?", r"\?")) as caught:
        parse_proxy(text)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UsageError):
        choose(text)


def test_credentials_are_hidden() -> None:
    server = parse_proxy("http://alice:hunter2@proxy:1")
    assert "alice" not in repr(server)
    assert "hunter2" not in repr(server)
    assert without_credentials("http://a:b@c:1 d@e; f") == "http://***@c:1 ***@e; f"


@pytest.mark.parametrize(
    ("no_proxy", "host", "entry"),
    [
        ("", "a.example.com", ""),
        ("*", "a.example.com", "*"),
        ("x, *", "a.example.com", "*"),
        ("example.com", "a.example.com", "example.com"),
        ("example.com", "example.com", "example.com"),
        (".example.com", "a.example.com", ".example.com"),
        (".example.com", "example.com", ".example.com"),
        ("EXAMPLE.com", "A.example.COM.", "example.com"),
        ("example.com", "badexample.com", ""),
        ("ample.com", "a.example.com", ""),
        ("*.example.com", "a.example.com", ""),  # neither curl nor requests reads it
        ("example.com:443", "a.example.com", "example.com:443"),
        ("example.com:8443", "a.example.com", ""),
        (" other.example , a.example.com ", "a.example.com", "a.example.com"),
        ("other.example a.example.com", "a.example.com", "a.example.com"),
        (".", "a.example.com", ""),
        (",,", "a.example.com", ""),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("10.0.0.1:443", "10.0.0.1", "10.0.0.1:443"),
        ("10.0.0.1:80", "10.0.0.1", ""),
        ("10.0.0.0/8", "10.9.9.9", "10.0.0.0/8"),
        ("10.0.0.5/8", "10.9.9.9", "10.0.0.5/8"),
        ("10.0.0.0/8", "11.0.0.1", ""),
        ("10.0.0.0/8", "a.example.com", ""),
        ("10.0.0.0/99", "10.0.0.1", ""),
        ("0.0.1", "10.0.0.1", ""),
        ("::1", "::1", "::1"),
        ("[::1]", "::1", "[::1]"),
        ("[::1]:443", "::1", "[::1]:443"),
        ("[::1]:80", "::1", ""),
        ("2001:db8::/32", "2001:db8::5", "2001:db8::/32"),
        ("2001:db8::/32", "10.0.0.1", ""),
        ("0:0:0:0:0:0:0:1", "::1", "0:0:0:0:0:0:0:1"),
    ],
)
def test_no_proxy(no_proxy: str, host: str, entry: str) -> None:
    assert matching_exception(no_proxy, host, 443).lower() == entry


@pytest.mark.parametrize(
    ("scheme", "environment", "because", "setting", "proxies"),
    [
        ("https", {}, "no setting", "", ()),
        ("https", {"HTTPS_PROXY": "http://p:1"}, "HTTPS_PROXY", "http://p:1", ("http://p:1",)),
        ("https", {"HTTPS_PROXY": "http://p:1", "https_proxy": "q:2"}, "https_proxy", "http://q:2", ("http://q:2",)),
        (
            "https",
            {"https_proxy": " ", "ALL_PROXY": "socks5://s"},
            "ALL_PROXY",
            "socks5://s:1080",
            ("socks5://s:1080",),
        ),
        ("https", {"HTTPS_PROXY": "p:1", "ALL_PROXY": "q:1"}, "HTTPS_PROXY", "http://p:1", ("http://p:1",)),
        ("https", {"HTTP_PROXY": "http://p:1"}, "no setting", "", ()),
        ("http", {"HTTP_PROXY": "http://p:1"}, "HTTP_PROXY", "http://p:1", ("http://p:1",)),
        ("http", {"HTTPS_PROXY": "http://p:1"}, "no setting", "", ()),
        ("tcp", {"HTTPS_PROXY": "http://p:1"}, "no setting", "", ()),
        ("tcp", {"all_proxy": "http://p:1"}, "all_proxy", "http://p:1", ("http://p:1",)),
        ("https", {"HTTPS_PROXY": "p:1", "NO_PROXY": ".frontend.example"}, "NO_PROXY", ".frontend.example", ()),
        ("https", {"HTTPS_PROXY": "p:1", "no_proxy": "a,*", "NO_PROXY": "b"}, "no_proxy", "*", ()),
        ("https", {"HTTPS_PROXY": "p:1", "NO_PROXY": "other.example"}, "HTTPS_PROXY", "http://p:1", ("http://p:1",)),
        ("https", {"NO_PROXY": "*"}, "no setting", "", ()),
        ("https", {"HTTPS_PROXY": "http://u:pw@p:1"}, "HTTPS_PROXY", "http://p:1", ("http://p:1",)),
    ],
)
def test_the_environment(
    scheme: Scheme, environment: dict[str, str], because: str, setting: str, proxies: tuple[str, ...]
) -> None:
    target = Target(host=TARGET.host, scheme=scheme)
    selection, servers = choose(on=machine(environment), target=target)
    assert (selection.because, selection.setting, selection.proxies) == (because, setting, proxies)
    assert tuple(server.url for server in servers) == proxies
    assert selection.outcome == "ok"
    assert (selection.id, selection.parent, selection.route) == STEP


@pytest.mark.parametrize("value", ["http://alice:hunter2@pro xy:1", "gopher://alice:hunter2@p", "alice:hunter2@p:0"])
def test_a_malformed_variable_is_a_failed_selection(value: str) -> None:
    selection, servers = choose(on=machine({"HTTPS_PROXY": value}))
    assert servers == ()
    assert selection.outcome == "failed"
    assert selection.failure is not None
    assert selection.failure.kind == "proxy-setting"
    assert selection.because == "HTTPS_PROXY"
    for written in (msgspec.json.encode(selection).decode(), repr(selection)):
        assert "alice" not in written
        assert "hunter2" not in written
        assert "***@p" in written


def test_the_command_line_decides_alone() -> None:
    on = machine({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"})
    assert choose("none", on)[0].because == "--proxy"
    assert choose("none", on)[1] == ()
    selection, servers = choose("http://alice:hunter2@q:2", on)
    assert (selection.because, selection.setting, selection.proxies) == ("--proxy", "http://q:2", ("http://q:2",))
    assert (servers[0].user, servers[0].password) == ("alice", "hunter2")
    assert b"hunter2" not in msgspec.json.encode(selection)
    assert b"alice" not in msgspec.json.encode(selection)


def test_given_credentials_replace_those_of_the_url() -> None:
    _, servers = select(
        machine(), TARGET, "http://a:b@q:2", STEP, deadline=Deadline(5), credentials=("alice", "hunter2")
    )
    assert (servers[0].user, servers[0].password) == ("alice", "hunter2")


@pytest.mark.parametrize(
    ("answer", "urls"),
    [
        ("DIRECT", ()),
        ("", ()),
        (" ; ", ()),
        ("PROXY a:1", ("http://a:1",)),
        ("PROXY a:1; HTTPS b:2; SOCKS c:3; DIRECT", ("http://a:1", "https://b:2", "socks5://c:3")),
        ("proxy a:1;socks5 c", ("http://a:1", "socks5://c:1080")),
        ("HTTP a", ("http://a:80",)),
        ("DIRECT; PROXY a:1", ()),
        ("SOCKS4 a:1; PROXY b:2", ("http://b:2",)),
        ("PROXY bad host:1; PROXY b:2", ("http://b:2",)),
        ("PROXY; DIRECT", ()),
        ("PROXY [::1]:8080", ("http://[::1]:8080",)),
    ],
)
def test_pac_answers(answer: str, urls: tuple[str, ...]) -> None:
    assert tuple(server.url for server in parse_pac_answer(answer)) == urls


@pytest.mark.parametrize("answer", ["SOCKS4 a:1", "nonsense", "PROXY", "PROXY a:99999", "http://a:1"])
def test_unusable_pac_answers(answer: str) -> None:
    with pytest.raises(PacError):
        parse_pac_answer(answer)


SCRIPT = """
function FindProxyForURL(url, host) {
  if (dnsDomainIs(host, ".frontend.example") && url == "https://" + host + "/") return "PROXY a:1; DIRECT";
  if (isInNet(dnsResolve(host), "10.0.0.0", "255.0.0.0")) return "PROXY inside:1";
  return "DIRECT";
}
"""


def write(folder: Path, script: str) -> str:
    path = folder / "proxy.pac"
    path.write_text(script)
    return str(path)


def test_a_pac_file(tmp_path: Path) -> None:
    path = write(tmp_path, SCRIPT)
    for location in (path, Path(path).as_uri()):
        selection, servers = choose(f"pac:{location}")
        assert selection.failure is None
        assert (selection.because, selection.setting) == (f"PAC {location}", "PROXY a:1; DIRECT")
        assert selection.proxies == ("http://a:1",)
        assert servers[0].host == "a"


def test_a_pac_script_resolves_through_the_machine(tmp_path: Path) -> None:
    asked: list[str] = []

    def lookup(name: str) -> tuple[str, ...]:
        asked.append(name)
        return ("2001:db8::1", "10.1.2.3")

    on = machine(net=Net(lookup=lookup))
    selection, _ = choose(f"pac:{write(tmp_path, SCRIPT)}", on, Target(host="db.inside.example"))
    assert selection.proxies == ("http://inside:1",)
    assert set(asked) == {"db.inside.example"}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("not a script (", "the script fails"),
        ("var x = 1;", "the script fails"),
        ("function FindProxyForURL(u, h) { return nowhere(h); }", "nowhere"),
        ("function FindProxyForURL(u, h) { return 5; }", "other than a string"),
        ("function FindProxyForURL(u, h) { return 'SOCKS4 u:hunter2@a:1'; }", "cannot be used"),
        ("function FindProxyForURL(u, h) { for (i = 0; ; i++) isResolvable('n' + i); }", "looked up more than"),
    ],
)
def test_broken_scripts(tmp_path: Path, script: str, says: str) -> None:
    on = machine(net=Net(lookup=lambda name: ("10.0.0.1",)))
    selection, servers = choose(f"pac:{write(tmp_path, script)}", on)
    assert servers == ()
    assert selection.failure is not None
    assert selection.failure.kind == "pac-error"
    assert says in selection.failure.detail
    assert b"hunter2" not in msgspec.json.encode(selection)


def test_a_script_that_does_not_end_is_ended(tmp_path: Path) -> None:
    path = write(tmp_path, "function FindProxyForURL(u, h) { while (true) {} }")
    selection, _ = choose(f"pac:{path}", seconds=1)
    assert selection.failure is not None
    assert selection.failure.detail == "it did not end in time"


def test_a_script_sees_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "hunter2")
    script = "function FindProxyForURL(u, h) { return process.env.SECRET_OF_OURS ? 'PROXY seen:1' : 'DIRECT'; }"
    assert choose(f"pac:{write(tmp_path, script)}")[0].setting == "DIRECT"


@pytest.mark.parametrize("location", ["/nowhere/proxy.pac", "ftp://h/proxy.pac", "data:text/plain,x"])
def test_a_script_that_cannot_be_loaded(location: str) -> None:
    selection, servers = choose(f"pac:{location}")
    assert servers == ()
    assert selection.failure is not None
    assert selection.failure.kind == "pac-error"
    assert selection.because == f"PAC {location}"


def test_the_platform_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"https": "http://p:8080"}
    monkeypatch.setattr(proxy_selection, "PLATFORM_HAS_SETTINGS", True)
    monkeypatch.setattr(urllib.request, "getproxies_registry", lambda: settings, raising=False)
    monkeypatch.setattr(urllib.request, "proxy_bypass_registry", lambda host: host == "skip.example", raising=False)
    monkeypatch.setattr(proxy_selection, "_platform_script", lambda: "")
    on = machine(system_settings=True)
    assert choose(on=on)[0].because == "Windows settings"
    assert choose(on=on)[0].proxies == ("http://p:8080",)
    skipped, servers = choose(on=on, target=Target(host="skip.example"))
    assert (skipped.because, servers) == ("Windows settings", ())
    assert "skip.example" in skipped.setting
    assert choose(on=machine())[0].because == "no setting"
    assert choose(on=machine({"ALL_PROXY": "q:1"}, system_settings=True))[0].because == "ALL_PROXY"
    settings["https"] = "http://p:x"
    broken = choose(on=on)[0]
    assert broken.failure is not None
    assert broken.failure.kind == "proxy-setting"


def test_the_platform_s_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(proxy_selection, "PLATFORM_HAS_SETTINGS", True)
    monkeypatch.setattr(urllib.request, "getproxies_registry", dict, raising=False)
    monkeypatch.setattr(urllib.request, "proxy_bypass_registry", lambda host: 0, raising=False)
    path = write(tmp_path, SCRIPT)
    monkeypatch.setattr(proxy_selection, "_platform_script", lambda: path)
    selection, _ = choose(on=machine(system_settings=True))
    assert selection.because == f"PAC {path} (Windows settings)"
    assert selection.proxies == ("http://a:1",)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@h:1 and u:p@h2", "http://***@h:1 and ***@h2"),
        ("http://u:p@ss@h:1", "http://***@h:1"),
        ("PROXY=http://u:p@h", "***@h"),
        ("no secret", "no secret"),
        ("a" * 60_000, "a" * 60_000),  # quadratic work would take half a minute here
    ],
    ids=["two words", "two at signs", "after a name", "none", "long"],
)
def test_credentials_are_hidden_in_text(text: str, shown: str) -> None:
    assert proxy_selection.without_credentials(text) == shown
