// The page: asks the node for its documents every other second, and shows what they say. It has nothing else to tell.

import { explained } from "./key.js";
import { Ring, colours, place } from "./ring.js";
import { bytes, count, data, el, many, ms, say, show, span, svg, sync, when } from "./text.js";

const EVERY_MS = 2000, PATIENCE_MS = 5000, KEY_EVERY = 3; // a key is asked for anew at every third round
const FOUND_MAX = 100, PAGES_MAX = 40, SEARCH_MS = 150; // of a search for keys: the node takes ten pages a second
const MANY = 16; // of more nodes than that, those that do not answer come first
const $ = (id) => document.getElementById(id);
const by = (a, b) => a.name.localeCompare(b.name, "en", { numeric: true });
const worstFirst = (a, b) => (a.state === "up") - (b.state === "up") || by(a, b);
const STATES = { up: "✓ up", suspect: "! suspect", down: "✗ down" };
const TONES = { up: "good", suspect: "warn", down: "bad", healthy: "good", degraded: "warn", critical: "bad" };
const HEALTHS = { healthy: "✓ healthy", degraded: "! degraded", critical: "✗ critical" };

const page = { ring: null, status: null, colour: new Map(), partition: null, node: null, key: null, paused: false,
  round: 0, turn: 0, search: 0, timer: 0, drawn: "" };
const ring = new Ring($("drawing"), {
  choose: (at) => choose(page.partition === at ? null : at, null),
  point: (at) => say($("pointed"), at === null || !page.ring ? "" : place(page.ring, at)),
});

/** A document of the node. An answer that is none is an Error with words for a person. */
async function ask(name) {
  const address = new URL(`api/${name}`, location.href);
  address.username = address.password = ""; // if they were in the address: fetch refuses them, the browser knows them
  const answer = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(() => null);
  if (!answer) throw new Error("the node does not answer");
  if (answer.status === 401) throw new Error("the password is needed again: reload this page");
  const document = await answer.json().catch(() => null);
  if (answer.ok && document) return document;
  throw new Error(document?.error?.message ?? `the node answers ${answer.status}`);
}

async function round() {
  clearTimeout(page.timer);
  const turn = (page.turn += 1); // who comes later, for a pause that ends, takes over from who still waits
  if (page.paused || document.hidden) return;
  try {
    const status = await ask("status");
    const wanted = ["stats", "events", status.hints > 0 ? "hints" : "", page.ring?.moving ? "transfers" : ""];
    const old = page.ring?.epoch !== status.epoch || page.ring?.moving;
    const [fresh, stats, events, hints, transfers] = await Promise.all(
      [old ? ask("ring").catch((error) => error) : null, ...wanted.map((name) => (name ? ask(name) : null))],
    );
    if (turn !== page.turn) return;
    page.ring = fresh instanceof Error ? null : (fresh ?? page.ring);
    page.status = status;
    showStatus(status);
    say($("undrawn"), fresh instanceof Error ? `It cannot be drawn: ${show(fresh.message)}.` : "");
    drawRing();
    showNodes(status, hints, transfers);
    showStats(stats);
    showEvents(events.events);
    showChosen();
    if (page.key && page.round % KEY_EVERY === 0) await explain(page.key, false);
    page.round += 1;
    lost("");
  } catch (error) {
    if (turn === page.turn) lost(error.message);
  }
  if (turn === page.turn) page.timer = setTimeout(round, EVERY_MS);
}

/** Say that what is shown is old, and why; "" if it is not. */
function lost(why) {
  document.body.classList.toggle("stale", Boolean(why));
  $("lost").hidden = !why;
  if (why && !$("lost").textContent) {
    $("lost").textContent = `Since ${when(new Date())}: ${show(why)}. What is below is from before.`;
  } else if (!why) $("lost").textContent = "";
}

// The cluster ---------------------------------------------------------------------------------------------

function showStatus(status) {
  document.title = `${show(status.cluster)}: ${status.health} - dyn`;
  say($("cluster"), `cluster ${show(status.cluster)}`);
  say($("health"), HEALTHS[status.health] ?? show(status.health));
  $("health").className = TONES[status.health] ?? "";
  const up = status.nodes.filter((node) => node.state === "up").length;
  const facts = [`${up} of ${many(status.nodes.length, "node")} up`, `N${status.n} R${status.r} W${status.w}`,
    `epoch ${status.epoch}`, `asked ${show(status.answered_by)} at ${when(new Date())}`];
  $("facts").textContent = facts.join(" · ");
  $("reasons").hidden = !status.reasons.length;
  sync($("reasons"), status.reasons, (why) => why, (why) => el("li", {}, show(why)));
  const { last_pass_s_ago: ago, divergent } = status.repair;
  say($("totals"), [`${many(status.siblings, "key")} with siblings on the node with most`, `hints ${count(status.hints)}`,
    `tombstones ${count(status.tombstones)}`,
    ago === null ? "no repair pass yet" : `last repair pass ${span(ago)} ago, ${many(divergent, "key")} differed`,
    status.views_agree ? "all views agree" : "! views differ: dyn cluster views"].join(" · "));
}

function drawRing() {
  const { ring: document_, status } = page;
  if (!document_) return;
  const down = new Set(status.nodes.filter((node) => node.state !== "up").map((node) => node.name));
  const key = JSON.stringify([document_, [...down]]);
  if (key === page.drawn) return;
  page.drawn = key;
  const names = document_.members.map((member) => ({ name: member.name })).sort(by).map((member) => member.name);
  page.colour = colours(names);
  ring.draw(document_, page.colour, down);
  ring.choose(page.partition, page.node);
  $("partition").max = document_.partitions - 1;
  const owners = Math.min(document_.n, ring.bands);
  say($("legend"), (owners > 1 ? "Outermost the primary, then the other owners." : "One owner each.")
    + (down.size ? " Hatched: does not answer." : "") + (document_.moving ? " Outside: who takes it over." : ""));
}

const COLUMNS = [
  ["Node", (node) => node.name], ["State", (node) => STATES[node.state] ?? show(node.state)],
  ["Address", (node) => show(node.address)], ["Zone", (node) => show(node.zone || "-")],
  ["Primary", (node) => count(node.partitions), 1], ["Keys", (node) => count(node.keys), 1],
  ["Bytes", (node) => bytes(node.bytes), 1], ["Hints", (node) => count(node.hints), 1],
  ["p50 ms", (node) => ms(node.p50_ms), 1], ["p99 ms", (node) => ms(node.p99_ms), 1],
  ["Up for", (node) => (node.uptime_s === null ? "?" : span(node.uptime_s)), 1],
];

function showNodes(status, hints, transfers) {
  const columns = COLUMNS.filter(([name]) => name !== "Zone" || status.nodes.some((node) => node.zone));
  sync($("nodes-head"), columns, ([name]) => name,
    ([name, , number]) => el("th", { role: "columnheader", scope: "col", class: number ? "number" : "" }, name));
  $("nodes-box").classList.toggle("tall", status.nodes.length > MANY);
  sync($("nodes-body"), status.nodes.toSorted(status.nodes.length > MANY ? worstFirst : by), (node) => node.name, newRow, (row, node) => {
    sync(row, columns, ([name]) => name, ([name, , number]) => newCell(name, number, node), (cell, [name, text]) => {
      if (name !== "Node") say(cell, text(node));
      else fillName(cell.firstChild, node);
      if (name === "State") cell.className = TONES[node.state] ?? "";
    });
  });
  sync($("moves"), moves(hints, transfers), ([text]) => text, ([text, share]) => el("div", {}, el("p", {}, text),
    share === null ? null : el("progress", { max: 1, value: share, "aria-label": text })),
    (line, [, share]) => share !== null && line.querySelector("progress")?.setAttribute("value", share));
}

const newRow = () => el("tr", { role: "row" });

function newCell(name, number, node) {
  const cell = el("td", { role: "cell", class: number ? "number" : "", "data-label": name });
  if (name === "Node") {
    const button = el("button", { type: "button" }, svg("svg", { class: "swatch", viewBox: "0 0 8 8", "aria-hidden":
      "true" }, svg("rect", { width: 8, height: 8, rx: 1.5 })), show(node.name));
    button.addEventListener("click", () => choose(null, page.node === node.name ? null : node.name));
    cell.append(button);
  }
  return cell;
}

function fillName(button, node) {
  button.querySelector("rect").setAttribute("fill", page.colour.get(node.name) ?? "#888");
  button.setAttribute("aria-pressed", String(page.node === node.name));
}

/** What moves, and what waits: [words, share done or null]. */
function moves(hints, transfers) {
  const lines = [], moving = page.ring?.moving;
  if (moving) {
    const rest = [moving.bytes_left === null ? "" : `${bytes(moving.bytes_left)} left`,
      moving.eta_s === null ? "" : `about ${span(moving.eta_s)}`].filter(Boolean);
    lines.push([`Moving (${show(moving.change)}): ${rest.join(", ") || "how much is left is not known yet"}`, moving.progress]);
  }
  for (const taker of transfers?.takers ?? []) {
    const left = taker.holds ? "holds its part" : `${many(taker.todo, "partition")} of ${count(taker.total)} to take in`;
    lines.push([`${show(taker.node)}: ${left}, ${many(taker.rows, "row")} came`, null]);
  }
  for (const hint of hints?.held ?? []) {
    lines.push([`${show(hint.by)} keeps ${many(hint.keys, "key")} (${bytes(hint.bytes)}) for ${show(hint.for)}: `
      + show(hint.waits_because ?? "being delivered"), null]);
  }
  return lines.slice(0, 40);
}

// What is chosen ------------------------------------------------------------------------------------------

function choose(partition, node) {
  page.partition = partition;
  page.node = node;
  $("partition").value = partition ?? "";
  ring.choose(partition, node);
  for (const button of $("nodes-body").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(node !== null && button.closest("tr").dataset.key === node));
  }
  showChosen();
}

function showChosen() {
  const { ring: document_, status, partition, node } = page;
  const lines = [];
  if (document_ && partition !== null) {
    const states = new Map(status.nodes.map((each) => [each.name, each.state]));
    const nodes = document_.preference[partition] ?? [];
    nodes.slice(0, document_.n + 5).forEach((name, at) => {
      const role = at === 0 ? "primary" : at < document_.n ? "owner" : "stand-in";
      lines.push(`${show(name)}, ${role}: ${STATES[states.get(name)] ?? "?"}`);
    });
    const taker = document_.moving?.owners[partition];
    if (taker && taker !== document_.owners[partition]) lines.push(`moving: ${show(taker)} will be the primary`);
  } else if (document_ && node !== null) {
    const member = document_.members.find((each) => each.name === node);
    const figures = status.nodes.find((each) => each.name === node);
    const owned = document_.preference.filter((nodes) => nodes.slice(0, document_.n).includes(node)).length;
    lines.push(`owner of ${count(owned)} of ${many(document_.partitions, "partition")}, primary of ${count(figures?.partitions)}`);
    if (member) lines.push(`weight ${count(member.weight)}, ring state: ${show(member.state)}`);
    if (figures) lines.push(`seen up by ${figures.seen_by.map((name) => show(name)).join(", ") || "nobody"}`);
  }
  const title = partition !== null ? `Partition ${partition}` : node !== null ? show(node) : "";
  const key = JSON.stringify([title, lines]);
  $("nothing").hidden = !title;
  if ($("chosen").dataset.key === key) return;
  $("chosen").dataset.key = key;
  $("chosen").replaceChildren(...(title ? [el("h3", {}, title), el("ul", {}, lines.map((line) => el("li", {}, line)))] : []));
}

// A key ---------------------------------------------------------------------------------------------------

async function explain({ key, enc }, moved = true) {
  const asked = page.key;
  const encoded = new URLSearchParams({ key, enc });
  let shown;
  try {
    const document_ = await ask(`explain?${encoded}`);
    shown = explained(document_, page.status);
    if (moved && asked === page.key) choose(document_.partition, null);
  } catch (error) {
    shown = [el("p", { class: "bad" }, show(error.message))];
  }
  if (asked !== page.key) return; // somebody asked for another one meanwhile
  const box = el("div", {}, ...shown);
  if (!$("explained").firstChild?.isEqualNode(box)) $("explained").replaceChildren(box);
}

function askForKey(key, enc) {
  page.key = { key, enc };
  $("key").value = key;
  $("enc").value = enc;
  history.replaceState(null, "", `#${new URLSearchParams({ key, enc })}`);
  return explain(page.key);
}

/** The key that the address names (#key=cart&enc=utf8), so that an explanation can be sent to somebody. */
function askForAddress() {
  const named = new URLSearchParams(location.hash.slice(1));
  const key = named.get("key");
  if (key) askForKey(key, named.get("enc") === "base64" ? "base64" : "utf8");
}

/** Page after page, the keys that begin as the field says; with `siblings` those of several versions. */
async function search(siblings) {
  const prefix = $("enc").value === "utf8" ? $("key").value : "";
  const found = [];
  const turn = (page.search += 1);
  let cursor = "0", pages = 0, why = "";
  try {
    do {
      say($("searched"), `Looking, ${many(found.length, "key")} so far …`);
      const asked = new URLSearchParams({ prefix, cursor, ...(siblings ? { siblings: "1" } : {}) });
      const answer = await ask(`keys?${asked}`);
      if (turn !== page.search) return;
      if (pages) await new Promise((done) => setTimeout(done, SEARCH_MS));
      found.push(...answer.keys);
      cursor = answer.cursor;
      pages += 1;
    } while (cursor !== "0" && found.length < FOUND_MAX && pages < PAGES_MAX);
  } catch (error) {
    why = `, then ${show(error.message)}`;
  }
  const what = siblings ? ["key in conflict", "keys in conflict"] : ["key"];
  const begins = prefix ? ` that begin${found.length === 1 ? "s" : ""} with "${show(prefix)}"` : "";
  const rest = cursor === "0" || why ? "" : ", and there may be more: dyn keys";
  say($("searched"), `${many(found.length, ...what)}${begins}${why}${rest}`);
  $("found").replaceChildren(...found.slice(0, FOUND_MAX).map(({ key, enc }) => {
    const button = el("button", { type: "button" }, data(key, enc) || "(empty)");
    button.addEventListener("click", () => askForKey(key, enc));
    return el("li", {}, button);
  }));
}

// Requests and events -------------------------------------------------------------------------------------

function showStats(stats) {
  const head = ["Operation", "Requests", "p50 ms", "p99 ms", "p99.9 ms"];
  const rows = Object.entries(stats.ops).map(([op, n]) => {
    const latency = stats.latency_ms?.[op] ?? {};
    return [show(op), count(n), ...[latency.p50, latency.p99, latency.p999].map(ms)];
  });
  const reads = Object.entries(stats.versions_per_read ?? {});
  const all = reads.reduce((sum, [, n]) => sum + n, 0), several = reads.reduce((sum, [v, n]) => sum + (v > 1 ? n : 0), 0);
  const number = (at) => (at ? "number" : "");
  $("stats").replaceChildren(
    el("table", {}, el("caption", { class: "quiet" }, `through ${show(stats.node)} since it started; latency of the last 20 s`),
      el("thead", {}, el("tr", {}, head.map((name, at) => el("th", { scope: "col", class: number(at) }, name)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, at) => el("td", { class: number(at) }, cell)))))),
    el("p", {}, all ? `${count(several)} of ${many(all, "read")} found more than one version` : "no reads yet"),
  );
}

function showEvents(events) {
  const shown = events.slice(-60).reverse().map((event, at) => ({ ...event, id: `${event.at} ${event.said} ${at}` }));
  const tone = { warn: "warn", error: "bad" }, mark = { warn: "! ", error: "✗ " };
  sync($("noted"), shown, (event) => `${event.at} ${event.said}`, (event) => el("li", {},
    el("time", { datetime: event.at, title: show(event.at) }, when(event.at)),
    el("span", { class: tone[event.level] ?? "" }, (mark[event.level] ?? "") + show(event.said))));
}

// -----------------------------------------------------------------------------------------------------------

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  askForKey($("key").value, $("enc").value);
});
$("partition").addEventListener("input", (event) => {
  const at = event.target.valueAsNumber;
  const known = page.ring && Number.isInteger(at) && at >= 0 && at < page.ring.partitions;
  if (known) choose(at, null);
});
$("nothing").addEventListener("click", () => choose(null, null));
$("pause").addEventListener("click", () => {
  page.paused = !page.paused;
  page.round = 0;
  $("pause").setAttribute("aria-pressed", String(page.paused));
  round();
});
$("begins").addEventListener("click", () => search(false));
$("conflicts").addEventListener("click", () => search(true));
addEventListener("hashchange", askForAddress);
document.addEventListener("visibilitychange", round);
await round();
askForAddress();
