"""`dyn explain`: a page is true of the command line, tells this cluster's numbers, and reads without one."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest

from dynamo_cli.catalog import CommandSpec, catalog, find
from dynamo_cli.concepts.facts import Facts, facts_of
from dynamo_cli.concepts.pages import MEANT, PAGES, close_to, meant
from dynamo_cli.doctor.catalog import CHECKS
from tests.helpers.cli import dyn
from tests.helpers.documents import joining, ring, status
from tests.helpers.fake_node import FakeNode, fake_node


def facts(**more: Any) -> Facts:
    found = facts_of(ring(5, 256), status() | {"answered_by": "n1", "tombstones": 4})
    assert found is not None
    return found._replace(**more)


@pytest.mark.parametrize("term", PAGES)
def test_every_page_ends_in_commands_that_there_are_and_names_pages_that_there_are(term: str) -> None:
    page = PAGES[term]
    assert page.steps
    for line in (*page.steps, *re.findall(r"\b(dyn [a-z]+(?: [a-z.]+)*)", page.here(facts()))):
        words = shlex.split(line)[1:]
        spec = next(filter(None, (find(tuple(words[:count])) for count in (3, 2, 1))), None)
        assert spec is not None, line
        known = {flag for parameter in spec.parameters for flag in parameter.flags}
        assert {word for word in words if word.startswith("-")} <= known, line
    assert set(page.see) <= set(PAGES)
    assert term not in page.see


@pytest.mark.parametrize("term", PAGES)
@pytest.mark.parametrize("columns", ["80", "200"])
def test_every_page_reads_with_a_cluster_and_without_one(term: str, columns: str) -> None:
    with fake_node(DYN_RING=joining(4, 64), DYN_STATUS=status("n3")) as node:
        here = dyn("explain", term, node=node, terminal=True, environ={"COLUMNS": columns, "NO_COLOR": "1"})
        document = json.loads(dyn("explain", term, "--json", node=node).out)
    nowhere = dyn("explain", term, terminal=True, environ={"COLUMNS": columns, "NO_COLOR": "1"})
    assert document["schema"] == "dyn.term/v1"
    for told in (here, nowhere):
        assert (told.status, told.err) == (0, "")
        assert max(map(len, told.out.splitlines())) <= 80
    assert " ".join(document["here"].split()) in " ".join(here.out.split())
    assert "None" not in document["here"]
    assert "No numbers: cannot reach 127.0.0.1:1 (refused)" in nowhere.out


@pytest.mark.parametrize(
    ("term", "more", "said"),
    [
        ("quorum", {}, "R+W>N: yours is 2+2=4, and N=3: so a read meets at least 1 owner"),
        ("quorum", {"r": 1, "w": 1}, "yours is 1+1=2, and N=3: so a read may miss the last write"),
        ("quorum", {"n": 5, "r": 5, "w": 5}, "go on with 0 owners of a key away"),
        ("quorum", {"seats": 1}, "N/R/W is 3/2/2 and acts as 1/1/1"),
        ("sloppy quorum", {}, "2 nodes can stand in for the 3 owners of a key"),
        ("sloppy quorum", {"seats": 3}, "nobody can stand in"),
        ("strict", {}, "a strict read needs 2 and a strict write 2 of the 3 owners"),
        ("hint", {"hints": 49}, "49 rows wait"),
        ("hint", {"hints": 0}, "No row waits"),
        ("hint", {"hints": None}, "do not tell"),
        ("partition", {}, "256 partitions on 5 nodes: each node is the first owner of about 51 of them"),
        ("replicas", {}, "60% of all keys on each"),
        ("replicas", {"seats": 2}, "2 copies of each key until 1 more join"),
        ("siblings", {"siblings": 1}, "1 key has siblings"),
        ("tombstone", {"tombstones": None}, "an unknown number of tombstones"),
        ("epoch", {"change": "leave n3"}, "moves partitions (leave n3)"),
        ("merkle", {}, "1,024 leaves each"),
        ("anti-entropy", {"repair_s_ago": 60.0, "divergent": 1}, "60 s ago and found 1 key that differs"),
        ("zone", {"zones": ("a", "b")}, "2 zones (a, b): 3 owners of a key lie in up to 2 of them"),
        ("coordinator", {}, "60% of all keys"),
    ],
)
def test_the_numbers_are_those_of_the_cluster(term: str, more: dict[str, Any], said: str) -> None:
    assert said in PAGES[term].here(facts(**more))


def test_other_words_for_a_term_are_known_and_wrong_ones_are_guessed() -> None:
    assert meant("Hinted_Handoff") == "hint"
    assert meant("vector clocks") == "clock"
    assert meant("sloppy-quorum") == "sloppy quorum"
    assert [name for name in MEANT if meant(name) != MEANT[name]] == []
    assert close_to("quorun")[0] == "quorum"
    wrong = dyn("explain", "quorun")
    assert (wrong.status, wrong.out) == (3, "")
    assert "no page on 'quorun'. Did you mean quorum?" in wrong.err
    assert "dyn explain quorum" in dyn("help", "quorum").err


def test_the_list_has_every_term_and_the_doctor_names_none_that_is_not_there() -> None:
    lines = dyn("explain", "--no-header").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == list(PAGES)
    assert max(map(len, dyn("explain", terminal=True, environ={"NO_COLOR": "1"}).out.splitlines())) <= 80
    assert {check.term for check in CHECKS.values()} - {""} <= set(PAGES)


def test_it_works_in_the_shell() -> None:
    node: FakeNode
    with fake_node(DYN_RING=ring(3, 8), DYN_STATUS=status()) as node:
        told = dyn("shell", "-e", "explain quorum", node=node)
    assert told.status == 0
    assert "yours is 2+2=4" in told.out


def test_a_cluster_that_does_not_tell_its_numbers_is_as_none() -> None:
    with fake_node(DYN_RING={"n": "3"}, DYN_STATUS={}) as node:
        told = json.loads(dyn("explain", "quorum", "--json", node=node).out)
    assert (told["here"], told["why_not_here"]) == (None, "its nodes do not tell N, R, W and members")


@pytest.mark.parametrize("spec", catalog(), ids=lambda spec: spec.name)
def test_a_help_page_fits_and_breaks_no_word(spec: CommandSpec) -> None:
    """However long an example is, there is room for what it does."""
    page = dyn("help", *spec.path).out if spec.path else dyn("help").out
    longest = max([80, *(len(line) + 2 for line, _ in spec.examples)])  # what is to be copied is never cut
    assert max(map(len, page.splitlines())) <= longest
    told = " ".join(page.split())
    assert " ".join(spec.description.split()) in told or not spec.path
    for _, what in spec.examples if spec.path else ():
        assert what in told
