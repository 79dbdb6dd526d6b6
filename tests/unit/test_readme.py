"""README.md and CHANGELOG.md say what is so: commands parse, options and files exist, examples run as shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest

import netdiag
from netdiag import cli, session
from netdiag.model import Target
from netdiag.rules import CATALOGUE
from netdiag.world.play import play
from netdiag.world.scenes import SCENES
from netdiag.world.world import World
from tests import readme, support

TEXT = (support.ROOT / "README.md").read_text(encoding="utf-8")
CHANGES = (support.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
#: The examples of the library.
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
#: In blocks (with or without a prompt) and in running text.
SHOWN = sorted(
    set(re.findall(r"^(?:\$ |    )(netdiag .*)$", TEXT, re.MULTILINE) + re.findall(r"`(netdiag [^`]*)`", TEXT))
)


def _arguments(command: str) -> list[str]:
    """The arguments of the first command of a pipeline; [OPTIONAL] parts are taken."""
    words = shlex.split(re.sub(r"[\[\]]|\.\.\.", "", command), comments=True)
    ends = [n for n, word in enumerate(words) if word in ("|", ">", "&&", "||", ";")]
    return words[1 : ends[0] if ends else None]


@pytest.mark.parametrize("command", SHOWN)
def test_each_command_shown_parses(command):
    for alternative in _arguments(command)[0].split("|"):
        arguments = [alternative, *_arguments(command)[1:]]
        parser, _ = cli._parser(arguments)
        assert parser.parse_args(arguments) if alternative != "--version" else True


def test_commands_are_shown_and_all_of_them():
    assert {_arguments(command)[0] for command in SHOWN} >= set(cli.COMMANDS)


def test_each_option_named_exists(capsys):
    known = ""
    for name in cli.COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        known += capsys.readouterr().out
    ours = "".join(part for part in re.split(r"```python.*?```", TEXT, flags=re.DOTALL))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours))
    assert named - set(re.findall(r"--[a-z][a-z-]+", known)) - {"--version"} == set()


@pytest.mark.parametrize("command", ["endpoint", "pcap", "cert", "node"])
def test_each_option_is_named(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert len(options) > 10
    assert {option for option in options if option not in TEXT} == set()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_each_link_leads_to_a_file(path):
    assert (support.ROOT / path).exists()


def test_each_example_has_its_block():
    assert set(readme.documented()) == set(readme.EXAMPLES)


@pytest.mark.skipif(sys.platform != "linux", reason="the examples were written on Linux")
@pytest.mark.parametrize("name", sorted(set(readme.EXAMPLES) - {"demo"}))
def test_each_example_prints_what_is_shown(name):
    """Of reports the verdict only: the evidence depends on the machine, and on who was quicker."""
    example = readme.EXAMPLES[name]
    support.require_tools(*({"sh"} | ({"unshare", "ip"} if example.offline else set())))
    if "jq" in example.command:
        support.require_tools("jq")
    if example.offline and not _may_unshare():
        support.missing("this user may not make a network namespace")
    now, shown = readme.printed(example), readme.documented()[name]
    whole = name not in ("first", "scene", "intercepted", "incident", "offline", "one-rung", "node")
    assert readme.words(now, verdict_only=not whole) == readme.words(shown, verdict_only=not whole)


def test_demo_shows_scenes_that_exist():
    """The whole demo is tests/unit/world's business: twelve scenes at once on a busy machine take their time."""
    shown = [tuple(line.split()[1:4]) for line in readme.documented()["demo"].splitlines() if line.startswith("✓")]
    scenes = {scene.name: scene.expect for scene in SCENES}
    assert shown == [(name, scenes[name].status, scenes[name].finding or "-") for name, *_ in shown] != []


def _may_unshare() -> bool:
    return subprocess.run(["unshare", "-rnm", "true"], capture_output=True, check=False).returncode == 0


def test_library_example_runs(monkeypatch, capsys, tmp_path):
    """Against the embedded world in place of the network: its proxy asks for a ticket."""
    block = PROGRAMS[0]
    scene = next(scene for scene in SCENES if scene.name == "proxy-wants-ticket")
    with World() as world:
        here = {"machine": world.machine(scene.setting)}

        def one(target: Target | str, *, options=session.Options(), **more):  # noqa: B008 - frozen
            options = replace(options, trust=world.trust(scene.setting), timeout_s=1.0)
            return session.diagnose_endpoint(target, options=options, **here, **more)

        def several(targets, *, options=session.Options(), **more):  # noqa: B008 - frozen
            options = replace(options, trust=world.trust(scene.setting), timeout_s=1.0)
            return session.diagnose_endpoints(targets, options=options, **here, **more)

        monkeypatch.setattr(netdiag, "diagnose_endpoint", one, raising=False)
        monkeypatch.setattr(netdiag, "diagnose_endpoints", several, raising=False)
        monkeypatch.chdir(tmp_path)
        exec(compile(block, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "proxy.authentication-required" in out
    assert "wu2.frontend.clouddatahub.net" in out
    assert netdiag.load_report((tmp_path / "report.json").read_bytes()).target.host in out


def test_library_example_reads_captures(monkeypatch, capsys):
    monkeypatch.chdir(support.ROOT)
    exec(compile(PROGRAMS[1], "README.md", "exec"), {})
    verdict, connection, ttl = capsys.readouterr().out.splitlines()
    assert verdict == "tcp.reset-by-path-device path-device"
    assert connection == "wu2.frontend.clouddatahub.net complete reset 107 61"
    assert ttl == "TTL of resets: [61]"


def test_the_program_that_merges_reports(capsys, monkeypatch, tmp_path):
    program = next(text for text in PROGRAMS if "merge_reports" in text)
    scenes = {scene.name: scene for scene in SCENES}
    saved = play(scenes["healthy"])
    (tmp_path / "report.json").write_text(netdiag.render(saved, "json"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    broken = play(scenes["proxy-inspects-untrusted"])
    monkeypatch.setattr(netdiag, "diagnose_endpoint", lambda target: broken, raising=False)
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("proxy: was none (no setting); is http://proxy.contoso.com:3128 (HTTPS_PROXY).\n")
    assert "What changed for today since it worked" in printed


def test_library_example_compares_rules(monkeypatch, capsys):
    monkeypatch.chdir(support.ROOT)
    exec(compile(next(block for block in PROGRAMS if "check_allowlist" in block), "README.md", "exec"), {})
    assert capsys.readouterr().out == "DataFactory.WestUS2 partly ('20.42.133.0/24', '20.51.13.0/26')\n"


def test_library_example_of_nodes(monkeypatch, capsys):
    """The other node is one of the embedded world."""
    scene = next(scene for scene in SCENES if scene.name == "node")
    with World() as world:
        options = session.Options(trust=world.trust(scene.setting), timeout_s=1.0, fetch=False)
        machine = world.machine(scene.setting)
        monkeypatch.setattr(
            netdiag,
            "diagnose_node",
            lambda _node, **_: session.diagnose_node(scene.target, options=options, machine=machine),
            raising=False,
        )
        monkeypatch.chdir(support.ROOT)
        program = next(text for text in PROGRAMS if "node_matrix" in text)
        exec(compile(program, "README.md", "exec"), {})
    summary, *reaches = capsys.readouterr().out.splitlines()
    assert summary.startswith("node-b.contoso.com:8060 speaks net.tcp")
    assert "NODE-B NODE-A silent" in reaches
    assert len(reaches) == 6


def test_changelog_names_each_finding():
    sections = re.findall(r"^### Findings\n(.*?)(?=^##|\Z)", CHANGES, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`([a-z]+\.[a-z0-9-]+)`", "".join(sections))) == set(CATALOGUE)


def test_library_example_reads_logs(monkeypatch, capsys):
    monkeypatch.chdir(support.ROOT)
    (program,) = [program for program in PROGRAMS if "read_log" in program]
    exec(compile(program, "README.md", "exec"), {})
    assert "log.node-refused [(('netdiag', 'node', 'ir-node2.corp.example:8060'),)]" in capsys.readouterr().out
