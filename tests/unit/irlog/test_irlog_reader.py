"""Every kind of file -> the same error, with its facts; streams of any size and files of any bytes."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.irlog import grouping
from netdiag.irlog.entry import Tally
from netdiag.irlog.reader import read
from netdiag.irlog.source import open_source
from netdiag.irlog.table import recognise as recognise_table
from netdiag.irlog.text import text_entries
from netdiag.model import LogFileObservation, LogObservation, UsageError
from netdiag.rules.log_files import recognise
from tests.evtx import Event, event_log, event_xml

#: An error with everything in it: a time, a level, an umlaut, a stack.
ERROR = (
    'Es konnte keine Verbindung mit "net.tcp://knoten2.contoso.com:8060/ExternalService.svc" '
    "hergestellt werden für Müller. "
    "TCP-Fehlercode 10061: 10.2.4.10:8060. Activity ID: 92693b45-b4bf-4fc8-89da-2d3dc56f27c3"
)
LINE = f"2024-05-21 10:00:00.500 ERROR [12] System.ServiceModel.EndpointNotFoundException: {ERROR}"
QUIET = "2024-05-21 09:00:00 INFO all is well"


@pytest.fixture
def reading(tmp_path):
    def go(*contents: bytes | str, **more) -> tuple[LogFileObservation, tuple[LogObservation, ...]]:
        names = []
        for n, content in enumerate(contents):
            file = tmp_path / f"{n}.log"
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
            names.append(str(file))
        return read(names, known=recognise, **more)

    return go


def expect(found, *, form: str, entries: int = 1):
    summary, errors = found
    assert (summary.formats, summary.entries, summary.damage) == ((form,), entries, ())
    (error,) = errors
    assert [(p.host, p.port, p.address) for p in error.places] == [("knoten2.contoso.com", 8060, "10.2.4.10")]
    assert [code.value for code in error.codes] == [10061]
    assert error.activity_ids == ("92693b45-b4bf-4fc8-89da-2d3dc56f27c3",) == summary.activity_ids
    assert "Müller" in error.text
    return error


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("cp1252", b""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_in_any_encoding(reading, encoding, mark, end):
    text = end.join([QUIET, LINE, "   at System.ServiceModel.Channels.X.Connect(Uri uri)", "more of it", QUIET, ""])
    error = expect(reading(mark + text.encode(encoding)), form="text", entries=5)
    assert (error.level, error.line, error.started, error.exceptions[0].type) == (
        "error",
        2,
        1716285600.5,
        "System.ServiceModel.EndpointNotFoundException",
    )
    assert error.text.endswith("more of it")


def test_an_umlaut_that_is_no_utf8_does_not_spoil_those_that_are(reading):
    _, (error,) = reading("2024-05-21 10:00:00 ERROR Größe ".encode() + "Müller failed".encode("cp1252"))
    assert error.text == "Größe Müller failed"


def test_compressed(reading):
    expect(reading(gzip.compress(LINE.encode())), form="text")


def test_compressed_and_cut(reading):
    summary, _ = reading(gzip.compress((LINE + "\n").encode() * 5_000)[:-40])
    assert summary.damage
    assert "could not be read to its end" in summary.damage[0]


def test_event_viewer_xml(reading):
    error = expect(
        reading(event_xml([Event(data=(ERROR,), at=1.5), Event(data=("fine",), level=4)])), form="event-xml", entries=2
    )
    assert (error.provider, error.event_id, error.level, error.nodes, error.started) == (
        "Integration Runtime",
        1,
        "error",
        ("node1.contoso.com",),
        1.5,
    )


def test_event_viewer_xml_with_the_message(reading):
    expect(reading(event_xml([Event(data=(ERROR,))], message=True)), form="event-xml")


def test_one_event_alone_and_utf16(reading):
    expect(reading(event_xml([Event(data=(ERROR,))], root=False)), form="event-xml")
    expect(reading(event_xml([Event(data=(ERROR,))]).encode("utf-16")), form="event-xml")


def test_a_broken_event_costs_itself_only(reading):
    xml = event_xml([Event(data=("first failed",)), Event(data=(ERROR,))]).replace(
        "first failed", "first failed &nothing; \x01"
    )
    summary, errors = reading(xml)
    assert [error.text.startswith(("Integration", "1", "first", "Es konnte")) for error in errors] == [True, True]
    assert summary.damage == ("an event is not valid XML, and was read without its structure",)


def test_hostile_xml_is_not_expanded(reading):
    bomb = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    xml = f'<?xml version="1.0"?><!DOCTYPE Events [<!ENTITY l0 "lol">{bomb}<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    xml += event_xml([Event(data=("it failed",))]).partition("?>\n")[2].replace("it failed", "it failed &l11; &x;")
    summary, (error,) = reading(xml)
    assert len(error.text) < 1000
    assert "root:" not in error.text
    assert summary.damage


def test_nested_xml_without_an_end(reading):
    summary, _ = reading("<Events><Event>" + "<a>" * 700_000)
    assert summary.damage


def test_evtx(reading):
    error = expect(
        reading(event_log([Event(data=("ok",), level=4), Event(data=(ERROR,), at=2.0)])), form="evtx", entries=2
    )
    assert (error.line, error.provider, error.nodes, error.started) == (
        2,
        "Integration Runtime",
        ("node1.contoso.com",),
        2.0,
    )


def test_a_service_that_does_not_start_by_its_event(reading):
    """The System log holds no sentence, only what would stand in it; and Windows may speak any language."""
    started = Event(data=("Integration Runtime Service", "%%1069"), provider="Service Control Manager", event_id=7000)
    other = Event(data=("Print Spooler", "%%1069"), provider="Service Control Manager", event_id=7000)
    _, errors = reading(event_log([started, other]))
    assert [recognise(error) for error in errors] == [("log.service-start-failed",), ()]


def test_nodes_are_computers_and_those_that_they_call(reading):
    summary, _ = reading(event_log([Event(data=(ERROR,), computer="n1"), Event(data=("x",), level=4, computer="n2")]))
    assert summary.nodes == ("n1", "n2", "knoten2.contoso.com")


def test_evtx_that_is_damaged_in_the_middle(reading):
    data = bytearray(event_log([Event(data=("x failed",)), Event(data=(ERROR,))]))
    data[4096 + 512 + 24 + 8 : 4096 + 512 + 60] = b"\xff" * (60 - 32)
    summary, _ = reading(bytes(data))
    assert summary.damage


def test_evtx_that_is_not_one(reading):
    with pytest.raises(UsageError, match="event log that cannot be read"):
        reading(b"ElfFile\x00" + b"\xff" * 300)


HEADINGS = (
    "Level,Date and Time,Source,Event ID,Task Category",
    "Ebene,Datum und Uhrzeit,Quelle,Ereignis-ID,Aufgabenkategorie",
    "Niveau,Date et heure,Source,ID de l’événement,Catégorie de la tâche",
)


@pytest.mark.parametrize(
    ("heading", "level"), [(HEADINGS[0], "Error"), (HEADINGS[1], "Fehler"), (HEADINGS[2], "Erreur")]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_event_viewer_csv_in_any_language(reading, heading, level, delimiter):
    file = io.StringIO()
    rows = csv.writer(file, delimiter=delimiter)
    rows.writerow(heading.split(","))
    rows.writerow(["Information", "5/21/2024 9:00:00 AM", "Integration Runtime", "7", "None", "fine"])
    rows.writerow([level, "5/21/2024 10:00:00 AM", "Integration Runtime", "1", "None", f"{ERROR}\nand a\nsecond line"])
    error = expect(reading("\ufeff" + file.getvalue()), form="csv", entries=2)
    assert (error.level, error.provider, error.event_id, error.started) == (
        "error",
        "Integration Runtime",
        1,
        1716285600.0,
    )


def test_export_csv_of_powershell(reading):
    file = io.StringIO()
    rows = csv.writer(file, quoting=csv.QUOTE_ALL)
    rows.writerow(["Message", "Id", "ProviderName", "MachineName", "TimeCreated", "LevelDisplayName"])
    rows.writerow([ERROR, "26", "Integration Runtime", "node1", "21.05.2024 10:00:00", "Fehler"])
    error = expect(reading("#TYPE System.Diagnostics.Eventing.Reader.EventLogRecord\r\n" + file.getvalue()), form="csv")
    assert (error.event_id, error.nodes, error.started) == (26, ("node1",), 1716285600.0)


def test_a_quote_that_is_not_closed(reading):
    summary, _ = reading(HEADINGS[0] + '\nError,5/21/2024 10:00:00 AM,Src,1,None,"it failed' + "x\n" * 200_000)
    assert summary.damage


@pytest.mark.parametrize(
    "line", ["a,b,c,d,e", "Level;Text", "net.tcp error, no more", "", "2024-05-21 10:00:00, 5, failed, x, y"]
)
def test_what_is_no_table_of_events(line):
    assert recognise_table(line + "\n" + line) is None


def test_activity_run(reading):
    run = {
        "value": [
            {
                "activityRunId": "92693b45-b4bf-4fc8-89da-2d3dc56f27c3",
                "activityRunEnd": "2024-05-21T10:00:00.123Z",
                "error": {
                    "errorCode": "2200",
                    "message": f"ErrorCode=X,'Type=A.B,Message={ERROR},Source=C,'",
                    "target": "Copy",
                },
            },
            {"activityRunId": "2", "status": "Succeeded"},
        ]
    }
    error = expect(reading(json.dumps(run, indent=2)), form="json")
    assert error.started == pytest.approx(1716285600.123)
    assert (error.exceptions[0].type, error.exceptions[0].source) == ("A.B", "C")


def test_json_lines_are_entries(reading):
    rows = [
        {"time": "2024-05-21T10:00:00Z", "level": "Error", "message": "it failed"},
        {"level": "Information", "message": "fine"},
    ]
    summary, errors = reading("\n".join(map(json.dumps, rows)))
    assert [error.count for error in errors] == [1]
    assert summary.formats == ("json",)


def test_json_that_is_broken_is_text(reading):
    _, errors = reading('{"errorCode": "1", "message": "it failed because')
    assert len(errors) == 1


def test_details_that_event_viewer_copies(reading):
    text = "\n".join(
        [
            "Log Name:      Integration Runtime",
            "Source:        Integration Runtime",
            "Date:          5/21/2024 10:00:00 AM",
            "Event ID:      26",
            "Task Category: None",
            "Level:         Error",
            "Keywords:      Classic",
            "User:          N/A",
            "Computer:      node1.contoso.com",
            "Description:",
            ERROR,
            "",
            "and after a blank line",
        ]
    )
    error = expect(reading(text), form="text", entries=13)
    assert (error.event_id, error.level, error.nodes, error.started) == (
        26,
        "error",
        ("node1.contoso.com",),
        1716285600.0,
    )
    assert "after a blank line" in error.text


def test_paragraphs_without_times_are_entries(reading):
    _, errors = reading(
        "System.A.FirstException: one\n  at X.Y.Z()\n\nSystem.A.SecondException: two\nand its second line"
    )
    assert [error.exceptions[0].type for error in errors] == ["System.A.FirstException", "System.A.SecondException"]
    assert errors[1].text.endswith("its second line")


def test_repeats_are_one_error_with_its_times(reading):
    lines = [
        f"2024-05-21 {10 + n // 60:02d}:{n % 60:02d}:00 ERROR [{n}] Order {n} failed after {n} ms, id "
        f"92693b45-b4bf-4fc8-89da-2d3dc56f{n:04x}: System.InvalidOperationException: no"
        for n in range(120)
    ]
    summary, (error,) = reading("\n".join(lines))
    assert (error.count, error.started, error.last) == (120, 1716285600.0, 1716285600.0 + 119 * 60)
    assert error.spans == ((1716285600.0, 60), (1716289200.0, 60))
    assert (summary.entries, summary.errors, summary.suspicious) == (120, 120, 120)


def test_different_codes_and_hosts_are_different_errors(reading):
    lines = [
        f"2024-05-21 10:00:00 ERROR cannot connect to https://h{n}.contoso.com/: error code {10060 + n}" for n in (0, 1)
    ]
    assert len(reading("\n".join(lines * 3))[1]) == 2


def test_a_flood_of_different_errors_is_counted_and_known_issues_are_kept(reading):
    names = [f"{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10 % 10]}{'uvwxyzabcd'[n // 100]}" for n in range(900)]
    lines = [f"2024-05-21 10:00:00 ERROR {name} failed: 0x80070005" for name in names]
    lines.append("2024-05-21 10:00:00 ERROR Authentication Key is not assigned yet")
    summary, errors = reading("\n".join(lines))
    assert len(errors) == grouping.MAX_OTHERS + 1
    assert summary.more_errors == summary.more_count == 900 - grouping.MAX_OTHERS
    assert [code.hexadecimal for code in summary.more_codes] == ["0x80070005"]
    assert any(recognise(error) == ("log.authentication-key-missing",) for error in errors)


def test_times_over_many_years_are_bounded(reading):
    lines = [f"{year}-{month:02d}-01 10:00:00 ERROR it failed" for year in range(1900, 2024) for month in range(1, 13)]
    _, (error,) = reading("\n".join(lines))
    assert len(error.spans) <= grouping.MAX_SPANS
    assert sum(count for _, count in error.spans) == error.count == len(lines)


def test_entries_across_pieces(reading, monkeypatch):
    """Pieces of any size give the same entries."""
    text = "\n".join(
        f"2024-05-21 10:00:{n % 60:02d} {'ERROR it failed' if n % 7 == 0 else 'INFO fine'} number {n}\n   at A.B.C()"
        for n in range(3000)
    )
    whole = reading(text)
    for size in (997, 4096, 70_001):
        monkeypatch.setattr("netdiag.irlog.source.PIECE", size)
        monkeypatch.setattr("netdiag.irlog.source.HEAD", size)
        summary, errors = reading(text)
        assert (summary.entries, [(e.count, e.line) for e in errors]) == (
            whole[0].entries,
            [(e.count, e.line) for e in whole[1]],
        )


def test_several_files_make_one_observation(reading):
    told = []
    summary, errors = reading(LINE, event_xml([Event(data=("it failed",))]), progress=lambda *a: told.append(a))
    assert summary.formats == ("text", "event-xml")
    assert len(errors) == 2
    assert told[-1][0] == told[-1][1] == summary.bytes


def test_cancelled_ends_early(reading):
    summary, _ = reading(f"{LINE}\n" * 100_000, cancelled=lambda: True)
    assert summary.interrupted
    assert summary.entries == 0


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is empty"),
        (b"\xff\xfe", "it is empty"),
        (b"\xd4\xc3\xb2\xa1" + bytes(20), "netdiag pcap reads it"),
        (b"-----BEGIN CERTIFICATE-----", "netdiag cert reads it"),
        (b"PK\x03\x04rest", "unpack it"),
        (bytes(range(1, 32)) * 20, "neither text nor a Windows event log"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "neither text nor a Windows event log"),
    ],
)
def test_what_is_no_log(reading, data, complaint):
    with pytest.raises(UsageError, match=complaint):
        reading(data)


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.log: cannot be read"):
        read([str(tmp_path / "nothing.log")], known=recognise)
    with pytest.raises(UsageError, match="it is a folder"):
        read([str(tmp_path)], known=recognise)


_WORDS = st.sampled_from(
    [
        *("2024-05-21 10:00:00", "ERROR", "\n", "\r\n", "   at A.B(C c)", "{", '"Message":"', "<Event>", "</Event>"),
        *("--->", "'Type=A.B,Message=", ",Source=", "net.tcp://h:8060/", "0x8009030D", "10061:", "[", "]", "\\u0027"),
        *("&amp;lt;", "\x00", "Log Name:", "System.OutOfMemoryException:", ",", ";", "\t", "CN=a", "X.509 certificate"),
        *("\ud7ff", "é"),
    ]
)


@settings(max_examples=150)
@given(st.lists(_WORDS, max_size=60).map("".join), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_any_text_is_read(tmp_path_factory, text, encoding):
    check(tmp_path_factory, text.encode(encoding, "replace"))


@settings(max_examples=150)
@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"ElfFile\x00", b"<Events><Event>", b"{", b"\x1f\x8b\x08", b"\xff\xfe", b"a,b,c\n"]),
)
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, beginning):
    check(tmp_path_factory, beginning + data)


@settings(max_examples=80)
@given(st.integers(0, 4096 + 900), st.binary(min_size=1, max_size=8))
def test_any_damaged_event_log_is_read_or_refused(tmp_path_factory, at, change):
    data = bytearray(event_log([Event(data=("it failed",)), Event(data=("0x8009030D",))]))
    data[at : at + len(change)] = change
    check(tmp_path_factory, bytes(data))


def check(tmp_path_factory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.log"
    file.write_bytes(data)
    try:
        summary, errors = read([str(file)], known=recognise)
    except UsageError:
        return
    assert len(errors) <= summary.suspicious
    assert all(len(error.text) <= grouping.MAX_HEAD + grouping.MAX_TAIL + 3 for error in errors)


@pytest.mark.parametrize(
    "text",
    [
        "X.509 certificate CN=" * 20_000,
        "'Type=a,Message=" * 20_000,
        "   at " + "a." * 100_000,
        " at A" + ".b" * 100_000,
        "[" * 200_000 + '"a":',
        '{"a":' * 50_000,
        '"Message":"' * 20_000,
        "error code " * 30_000,
        "http://" * 40_000,
        "&lt;" * 60_000,
        "\\u0027" * 40_000 + '\\"',
        "--->" * 60_000,
        "0x80070005 " * 30_000,
        "A." * 100_000 + "Exception: ",
        "-" * 200_000,
        "00:00:00.0" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_text_made_to_be_slow_is_read(tmp_path, text):
    """Each of these takes a moment where patterns are linear, and minutes where one is not."""
    file = tmp_path / "slow.log"
    file.write_text(f"2024-05-21 10:00:00 ERROR {text}\n")
    tally = Tally()
    with open_source(str(file), tally) as source:
        assert len(list(text_entries(source))) == 1
    assert len(read([str(file)], known=recognise)[1]) == 1
