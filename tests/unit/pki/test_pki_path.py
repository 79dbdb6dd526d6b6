"""The path builder alone: what it asks for, what it is told, and that it ends."""

import pytest

from netdiag.model import Failure
from netdiag.pki import path
from netdiag.pki.facts import read
from netdiag.pki.path import Fetch, build
from tests.certs import AT, HOST, authority, key, make, store

ROOT = authority("Root")
SUB_URL, LEAF_URL, OTHER_URL = "http://ca.test/sub", "http://ca.test/leaf", "http://ca.test/other"
TOP = authority("Top", ROOT)
SUB = authority("Sub", TOP, aia=[SUB_URL])
LEAF = make(HOST, SUB, aia=[OTHER_URL, LEAF_URL])
FAILURE = Failure(kind="timeout", step="fetch")


def facts(*issued):
    return [read(entry.der) for entry in issued]


def subjects(found):
    return [element.summary.subject.split(",")[0] for element in found.elements]


def start(presented, roots=(ROOT,), *, every_url=False):
    leaf, *others = facts(*presented)
    return build(leaf, others, store(*roots), store(*roots), AT, every_url=every_url)


def drive(asking, fetch=lambda url: FAILURE):
    return path.drive(asking, lambda requests: {request: fetch(request.url) for request in requests})


def test_nothing_is_asked_for_when_the_store_is_reached():
    built = drive(start([LEAF, SUB, TOP]), lambda url: pytest.fail(url))
    assert [subjects(p) for p in built.paths] == [[f"CN={HOST}", "CN=Sub", "CN=Top", "CN=Root"]]
    assert built.paths[0].trusted


def test_a_dead_end_asks_for_one_url_after_the_other():
    builder = start([LEAF])
    assert next(builder) == (Fetch(OTHER_URL),)
    assert builder.send({Fetch(OTHER_URL): FAILURE}) == (Fetch(LEAF_URL),)
    assert builder.send({Fetch(LEAF_URL): SUB.der}) == (Fetch(SUB_URL),)
    with pytest.raises(StopIteration) as stop:
        builder.send({Fetch(SUB_URL): TOP.der})
    built = stop.value.value
    assert built.paths[0].trusted
    assert built.answers[Fetch(OTHER_URL)] == FAILURE
    assert sorted(built.fetched.values()) == [LEAF_URL, SUB_URL]


def test_every_url_is_asked_for_side_by_side_even_when_the_store_is_reached():
    builder = start([LEAF, SUB, TOP], every_url=True)
    assert next(builder) == (Fetch(OTHER_URL), Fetch(LEAF_URL), Fetch(SUB_URL))
    with pytest.raises(StopIteration) as stop:
        builder.send({})
    assert stop.value.value.paths[0].trusted


def test_without_a_fetcher_nobody_answers():
    built = path.drive(start([LEAF]))
    assert [p.end for p in built.paths] == ["dead-end"]
    assert built.answers == dict.fromkeys([Fetch(OTHER_URL), Fetch(LEAF_URL)], path.UNANSWERED)


def test_fetches_are_bounded():
    asked = []
    web = [authority("Sub", TOP, aia=[f"http://ca.test/{i}/{j}" for j in range(8)], ends=60 + i) for i in range(8)]
    drive(start([make(HOST, SUB), *web], roots=(), every_url=True), lambda url: asked.append(url) or FAILURE)
    assert len(asked) == path.MAX_FETCHES


def test_a_fetched_certificate_that_points_at_itself_is_asked_for_once():
    asked = []
    lonely = authority("Sub", TOP, aia=[LEAF_URL])
    drive(start([make(HOST, SUB, aia=[LEAF_URL])], roots=()), lambda url: asked.append(url) or lonely.der)
    assert asked == [LEAF_URL]


def test_every_cross_signed_path_is_a_candidate():
    other = authority("Other root", ends=3000)
    cross = authority("Sub", other)
    built = drive(start([LEAF, SUB, cross, TOP], roots=(ROOT, other)))
    assert sorted(map(subjects, built.paths)) == [
        [f"CN={HOST}", "CN=Sub", "CN=Other root"],
        [f"CN={HOST}", "CN=Sub", "CN=Top", "CN=Root"],
    ]


def test_two_authorities_that_sign_each_other_are_no_loop():
    one, two = authority("One"), authority("Two")
    one_by_two, two_by_one = authority("One", two), authority("Two", one)
    built = drive(start([make(HOST, one), one_by_two, two_by_one], roots=()))
    assert {p.end for p in built.paths} == {"dead-end"}
    assert max(len(p.elements) for p in built.paths) == 3


def test_a_hostile_graph_ends_within_its_budgets(monkeypatch):
    keys = [key(-100 - i) for i in range(50)]
    web = [
        authority("Hydra", authority("Hydra", private_key=keys[(i * 7 + 1) % 50]), private_key=keys[i], key_ids=False)
        for i in range(50)
    ]
    checked = []
    real = path.signed_by
    monkeypatch.setattr(path, "signed_by", lambda child, issuer: checked.append(1) or real(child, issuer))
    built = drive(start([make(HOST, web[0], key_ids=False), *web]))
    assert built.exhausted
    assert len(checked) <= 2 * path.MAX_SIGNATURE_CHECKS  # one search for the store, one for the public roots
    assert len(built.paths) <= 2 * path.MAX_PATHS
    assert not any(p.trusted for p in built.paths)


def test_a_dense_graph_of_good_signatures_ends_too():
    names = [f"Layer {i}" for i in range(9)]
    layers = [[authority(name)] for name in names]
    for lower, upper in zip(range(9), range(1, 9), strict=False):
        layers[lower] = [authority(names[lower], layers[upper][0], ends=60 + i) for i in range(3)]
    presented = [make(HOST, layers[0][0]), *(entry for layer in layers for entry in layer)]
    built = drive(start(presented, roots=()))
    assert built.exhausted
    assert len(built.paths) <= path.MAX_PATHS


def test_a_chain_deeper_than_the_limit_is_no_path():
    chain = [authority("Level 0", ends=3000)]
    for i in range(1, path.MAX_DEPTH + 2):
        chain.append(authority(f"Level {i}", chain[-1]))
    built = drive(start([make(HOST, chain[-1]), *reversed(chain)], roots=(chain[0],)))
    assert built.exhausted
    assert not any(p.trusted for p in built.paths)


def test_a_renewed_root_that_is_sent_does_not_hide_the_trusted_one_of_its_key():
    renewed, impostor = authority("Root", ends=999), authority("Root", private_key=key(-9))
    built = drive(start([LEAF, SUB, TOP, renewed, impostor]))
    assert [p.trusted for p in built.paths] == [True, False]
    assert built.paths[0].elements[-1].der == ROOT.der


def test_who_is_not_the_issuer_is_told_with_the_reason():
    impostor = authority("Sub", TOP, private_key=key(-9))
    built = drive(start([LEAF, impostor, SUB, TOP]))
    assert [(r.candidate.sha256, r.reason) for r in built.rejected] == [
        (
            facts(impostor)[0].sha256,
            "it has the issuer's name and another key: the key identifiers differ, and it did not sign",
        )
    ]


def test_names_are_compared_as_rfc_5280_wants():
    root = authority("Some  ROOT", private_key=key(-11))
    child = authority("Child", authority("some root", private_key=key(-11)))
    assert drive(start([make(HOST, child), child], roots=(root,))).paths[0].trusted
