"""The page of a node in a real browser: what it shows, of a real cluster and of hostile text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import cos, pi, sin
from typing import Any

import pytest

from node.runtime.auth import Password
from tests.helpers.browser import Browser, Page
from tests.helpers.cluster import Cluster, eventually
from tests.helpers.documents import EVIL
from tests.helpers.fake_site import serving, told

NAME = re.compile(r"\bdyn_\w+")
MARKUP = "<script>window.owned = 1</script>"
IMAGE = "<img src=x onerror='window.owned = 1'>"
FITS = "document.documentElement.scrollWidth <= 375"
ROWS = "document.querySelectorAll('#nodes-body tr').length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(3, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def open_page(browser: Browser, cluster: Cluster, **more: Any) -> Page:
    page = browser.open(f"http://127.0.0.1:{cluster[0].http_port}/", **more)
    page.wait(f"{ROWS} === 3", "three nodes")
    return page


def again(page: Page) -> None:
    """Have the page ask at once: it does so when a pause ends."""
    page.run("for (const time of [1, 2]) document.querySelector('#pause').click()")


def explain(page: Page, key: str, verdict: str) -> str:
    """Ask for a key as a person does; what is told of it."""
    page.type("#key", key)
    page.press("Enter")
    page.wait(f"document.querySelector('#explained .verdict')?.innerText.includes({json.dumps(verdict)})", verdict)
    return page.text("#explained")


def assert_clean(page: Page, url: str) -> None:
    """Nothing went wrong, nothing ran that should not, and nobody but the node was asked for anything."""
    assert page.problems == []
    assert page.run("window.owned ?? null") is None
    assert [asked for asked in page.requests if not asked.startswith((url, "data:image/svg"))] == []


# A real cluster ---------------------------------------------------------------------------------------------------


def test_the_ring_is_drawn_with_its_owners(browser: Browser, cluster: Cluster) -> None:
    page = open_page(browser, cluster)
    ring = cluster[0].document("RING")
    pieces = """Object.fromEntries(Array.from(document.querySelectorAll('#drawing .arc:not([fill^=url])'), (path) =>
        [path.dataset.node + ' ' + path.dataset.place, path.getAttribute('d').split('M').length - 1]))"""
    drawn = page.run(pieces)
    for name in ("n1", "n2", "n3"):
        for place in range(3):
            assert drawn[f"{name} {place}"] == sum(nodes[place] == name for nodes in ring["preference"])
    box = page.run("(({x, y, width}) => [x, y, width])(document.querySelector('#drawing svg').getBoundingClientRect())")
    for partition in (0, 77, 255):
        angle = 2 * pi * (partition + 0.5) / 256 - pi / 2
        x, y = (box[i] + box[2] / 2 + 0.4 * box[2] * turn for i, turn in enumerate((cos(angle), sin(angle))))
        page.click(x, y)
        first, *others = ring["preference"][partition]
        page.wait(f"document.querySelector('#chosen h3')?.innerText === 'Partition {partition}'", "the choice")
        assert page.text("#chosen").splitlines()[1] == f"{first}, primary: ✓ up"
        assert [line.split(",")[0] for line in page.text("#chosen").splitlines()[2:4]] == others[:2]
    nodes = {row["name"]: row for row in cluster[0].document("STATUS")["nodes"]}
    for row in page.run("Array.from(document.querySelectorAll('#nodes-body tr'), (row) => row.innerText.split('\\t'))"):
        name, state, address, primary = (cell.strip() for cell in row[:4])
        assert (state, address) == ("✓ up", nodes[name]["address"])
        assert primary == str(nodes[name]["partitions"])
    assert_clean(page, f"http://127.0.0.1:{cluster[0].http_port}/")


def test_a_conflict_is_shown_with_both_clocks(browser: Browser, cluster: Cluster) -> None:
    cluster.send(0, "SET", "cart", "milk")
    (context, _) = cluster.send(0, "DYN.GET", "cart")
    owners = cluster[0].document("EXPLAIN", "cart")["preference"]
    for name, value in zip(owners, ("eggs", "beer"), strict=False):
        cluster.send(int(name[1:]) - 1, "DYN.PUT", "cart", context, value)
    page = open_page(browser, cluster)
    text = explain(page, "cart", "! conflict")
    versions = cluster[0].document("EXPLAIN", "cart")["replicas"][0]["versions"]
    cells = page.run("""Object.fromEntries(Array.from(document.querySelectorAll('.siblings tbody tr'), (row) =>
        [row.cells[0].innerText, Array.from(row.cells, (cell) => cell.innerText).slice(1)]))""")
    assert {value.split()[0] for value in cells["Value"]} == {"eggs", "beer"}
    assert cells["Event"] == [version["dot"] for version in versions]
    for actor in {actor for version in versions for actor in version["clock"]}:
        assert cells[f"Clock: {actor}"] == [str(version["clock"].get(actor, "-")) for version in versions]
    assert f"Next: dyn -n 127.0.0.1:{cluster[0].port} merge cart" in text
    assert page.run("location.hash") == "#key=cart&enc=utf8"
    assert page.run("document.querySelector('#partition').value") == str(
        cluster[0].document("EXPLAIN", "cart")["partition"]
    )
    cluster.send(1, "SET", "cart", "both")
    again(page)
    page.wait("document.querySelector('.verdict').innerText.startsWith('✓ ok')", "the page to follow")
    assert_clean(page, f"http://127.0.0.1:{cluster[0].http_port}/")


def test_keys_in_conflict_are_found(browser: Browser, cluster: Cluster) -> None:
    for value in ("one", "two"):
        cluster.send(0, "DYN.PUT", b"pair:\xff", "", value)
        cluster.send(0, "SET", f"pair:{value}", value)
    page = open_page(browser, cluster, width=375, height=700)
    page.type("#key", "pair:")
    page.run("document.querySelector('#begins').click()")
    page.wait("document.querySelector('#searched').innerText === '3 keys that begin with \"pair:\"'", "the keys")
    page.run("document.querySelector('#conflicts').click()")
    page.wait("document.querySelector('#searched').innerText.startsWith('1 key in conflict')", "the conflict")
    assert page.text("#found") == r"pair:\xff"
    page.run("document.querySelector('#found button').click()")
    page.wait("document.querySelector('.verdict')?.innerText.startsWith('! conflict')", "what it is")
    assert page.run(FITS)
    assert_clean(page, f"http://127.0.0.1:{cluster[0].http_port}/")


def test_markup_and_bytes_are_text(browser: Browser, cluster: Cluster) -> None:
    cluster.send(0, "SET", MARKUP, IMAGE)
    cluster.send(0, "SET", b"\x00\xff<b>", b"\xfe\x01\\")
    cluster.send(0, "SET", "wide " + "x" * 900, "y" * 9000)
    page = open_page(browser, cluster, width=375, height=700, dark=True)
    text = explain(page, MARKUP, "ok")
    assert f"Key {MARKUP}, partition" in text
    assert IMAGE in text
    page.run("document.querySelector('#enc').value = 'base64'")
    text = explain(page, "AP88Yj4=", "ok")
    page.wait(r"document.querySelector('#explained').innerText.includes('Key \\x00\\xff<b> (binary)')", "the bytes")
    assert r"\xfe\x01\\" in page.text(".siblings pre")
    page.run("document.querySelector('#enc').value = 'utf8'")
    page.type("#key", "wide " + "x" * 900)
    page.press("Enter")
    page.wait("document.querySelector('.siblings pre')?.innerText.length === 4000", "part of a long value")
    assert page.run(FITS), "a long key does not make the page wider than a phone"
    assert_clean(page, f"http://127.0.0.1:{cluster[0].http_port}/")


@pytest.mark.long
def test_a_node_that_dies_is_shown_down(browser: Browser, cluster: Cluster) -> None:
    page = open_page(browser, cluster)
    state = "document.querySelector('#nodes-body tr:nth-child(3) [data-label=State]').innerText"
    cluster[2].kill()
    page.wait(f"{state} === '✗ down'", "n3 to be down")
    assert "n3 is down" in page.text("#reasons")
    page.wait("document.querySelector('#drawing [data-node=n3][fill=\"url(#hatch)\"]')", "its arcs to be hatched")
    assert page.text("#health") == "! degraded"
    cluster[2].start().ready()
    page.wait(f"{state} === '✓ up'", "n3 to be up")
    page.wait("document.querySelector('#reasons').hidden", "it to be well")
    assert_clean(page, f"http://127.0.0.1:{cluster[0].http_port}/")


def test_every_panel_of_the_dashboard_asks_for_what_a_node_tells(cluster: Cluster) -> None:
    """Names in full: what a made-up node tells, and with which labels, is in tests/unit/runtime/test_metrics.py."""
    cluster.send(0, "GET", "cart")
    cluster.send(0, "DYN.REPAIR")  # the figures of a pass are there once one has ended
    panels = json.loads(cluster[0].http("/grafana.json")[1])["panels"]
    asked = {name for panel in panels for target in panel.get("targets", ()) for name in NAME.findall(target["expr"])}
    assert len(asked) > 25

    def missing() -> set[str]:
        """Hints are told only while there are any: of them the name of the family is enough."""
        lines = cluster[0].http("/metrics")[1].splitlines()
        told = {re.split("[ {]", line)[0] for line in lines if not line.startswith("#")}
        return asked - told - {line.split()[2] for line in lines if line.startswith("# TYPE dyn_hints")}

    eventually(lambda: not missing(), f"all of {asked} to be told")


# Made-up documents ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("nodes", "partitions"), [(1, 256), (64, 1024)])
def test_it_fits_a_phone(browser: Browser, nodes: int, partitions: int) -> None:
    documents = told(nodes, partitions)
    last = documents["status"]["nodes"][-1]
    last["state"] = "down"
    with serving(documents) as url:
        page = browser.open(url, width=375, height=700)
        page.wait(f"{ROWS} === {nodes}", "the nodes")
        assert page.run(FITS)
        assert page.text("#nodes-body tr [data-label=State]") == "✗ down", "of many nodes those first that are missing"
        assert_clean(page, url)


def test_what_nodes_say_is_never_markup(browser: Browser) -> None:
    """Every text of every document is hostile, and none of it comes to life."""
    hostile = f"{IMAGE}{MARKUP}{EVIL}"

    def spoil(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: spoil(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [spoil(each, name) for each in value]
        kept = ("schema", "enc", "state", "health", "verdict", "at", "hash", "kind")
        return f"{value}{hostile}" if isinstance(value, str) and name not in kept else value

    documents = spoil(told(3, 64))
    documents["status"] |= {"hints": 5, "reasons": [hostile]}
    documents["explain"] |= {"repairs": [hostile, {"node": hostile}], "survives": [hostile]}
    moving = {"epoch": 8, "change": hostile, "progress": 0.5, "bytes_left": None, "eta_s": None, "partitions": [1]}
    documents["ring"]["moving"] = moving | {"owners": documents["ring"]["owners"]}
    with serving(documents) as url:
        page = browser.open(url, width=375, height=700)
        page.wait(f"{ROWS} === 3", "the nodes")
        explain(page, "k", "! stale")
        page.run("document.querySelector('#nodes-body button').click()")
        assert "<img src=x" in page.text("#explained")
        assert r"\u{1b}[31m[bold]\u{9b}\u{202e}" in page.text("#nodes-body")
        assert page.run("document.querySelectorAll('img, main script, b').length") == 0
        assert page.run(FITS)
        assert_clean(page, url)


def test_the_policy_holds_even_if_the_page_did_not(browser: Browser) -> None:
    with serving(told(1)) as url:
        page = browser.open(url)
        page.wait(f"{ROWS} === 1", "the node")
        page.run("document.body.append(Object.assign(document.createElement('script'), {textContent: 'owned = 1'}))")
        page.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(IMAGE)})")
        assert page.run("fetch('http://127.0.0.1:9/').then(() => 'asked', () => 'refused')") == "refused"
        assert page.run("window.owned ?? null") is None
        assert sum("Content Security Policy" in problem for problem in page.problems) >= 3


def test_where_there_is_a_password_it_is_asked_for(browser: Browser) -> None:
    with serving(told(1), password=Password(b"secret")) as url:
        page = browser.open(url)
        page.wait("location.protocol === 'chrome-error:'", "to be turned away")
        page = browser.open(url.replace("http://", "http://default:secret@"))
        page.wait(f"{ROWS} === 1", "the node")
        explain(page, "k", "! stale")


@pytest.mark.long
def test_what_is_old_is_said_to_be(browser: Browser) -> None:
    documents = told(1)
    with serving(documents) as url:
        page = browser.open(url)
        page.wait(f"{ROWS} === 1", "the node")
        del documents["status"]
        again(page)
        page.wait("document.body.classList.contains('stale')", "the page to notice")
        assert "no status is to be had" in page.text("#lost")
        documents |= told(1)
        again(page)
        page.wait("document.querySelector('#lost').hidden", "it to go on")
    again(page)
    page.wait("document.querySelector('#lost').innerText.includes('the node does not answer')", "the end to be seen")
    assert page.text("#nodes-body").startswith("n1"), "what was known stays, and is paler"


def test_a_ring_that_cannot_be_had_is_said_to_be_missing(browser: Browser) -> None:
    documents = told(2)
    del documents["ring"]
    with serving(documents) as url:
        page = browser.open(url)
        page.wait(f"{ROWS} === 2", "the nodes, which are told all the same")
        assert page.text("#undrawn") == "It cannot be drawn: no ring is to be had."
        explain(page, "k", "! stale")
        documents |= told(2)
        again(page)
        page.wait("document.querySelector('#drawing svg')", "the ring")
        assert page.text("#undrawn") == ""


@pytest.mark.long
def test_it_asks_every_other_second_however_often_it_was_paused(browser: Browser) -> None:
    with serving(told(2)) as url:
        page = browser.open(url)
        page.wait(f"{ROWS} === 2", "the nodes")
        for _ in range(8):
            again(page)
        page.run("new Promise(done => setTimeout(done, 500))")
        before = page.requests.count(f"{url}api/status")
        page.run("new Promise(done => setTimeout(done, 2000))")
        assert page.requests.count(f"{url}api/status") - before <= 2


def test_keys_alone_are_enough(browser: Browser) -> None:
    with serving(told(2)) as url:
        page = browser.open(url)
        page.wait(f"{ROWS} === 2", "the nodes")
        page.press("Tab")
        assert page.run("document.activeElement.innerText") == "To the key box"
        page.run("document.querySelector('#nodes-body button').focus()")
        page.press(" ")
        page.wait("document.activeElement.getAttribute('aria-pressed') === 'true'", "the node to be chosen")
        assert page.text("#chosen h3") == "n1"
        page.type("#partition", "7")
        page.wait("document.querySelector('#chosen h3').innerText === 'Partition 7'", "the partition to be chosen")
        fields = "[...document.querySelectorAll('input, select, button')]"
        assert page.run(f"{fields}.filter((each) => !each.labels?.length && !each.innerText).length") == 0
        assert page.run("document.querySelector('#drawing svg > title').textContent").startswith("Ring of epoch 7")


def test_light_and_dark_are_as_the_person_prefers(browser: Browser) -> None:
    seen = []
    with serving(told(5)) as url:
        page = browser.open(url)
        page.wait(f"{ROWS} === 5", "the nodes")
        for dark in (False, True):
            page.prefer(dark=dark)
            seen.append(page.run("getComputedStyle(document.documentElement).backgroundColor"))
    assert seen == ["rgb(246, 247, 248)", "rgb(16, 19, 24)"]
