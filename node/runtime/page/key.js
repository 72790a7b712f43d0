// What DYN.EXPLAIN says of one key: verdict, owners, and versions beside each other with the clocks that prove them.

import { bytes, count, data, el, many, show, when } from "./text.js";

const VERDICTS = {
  ok: ["good", "✓ ok"], conflict: ["warn", "! conflict"], stale: ["warn", "! stale"], deleted: ["", "deleted"],
  absent: ["", "absent"], unreachable: ["bad", "✗ unreachable"],
};
const VERSIONS_SHOWN = 12, CHARACTERS_SHOWN = 4000;
const letter = (at) => (at < 26 ? String.fromCharCode(65 + at) : `${at + 1}`);
const clock = (counts) => `{${Object.entries(counts).map(([node, n]) => `${show(node)}:${n}`).join(", ")}}`;
const same = (a, b) => clock(a) === clock(b);

/** The elements that show a dyn.explain/v1 document. */
export function explained(found, status) {
  const [tone, verdict] = VERDICTS[found.verdict] ?? ["", show(found.verdict)];
  const letters = found.merged.map((version, at) => [version.clock, letter(at)]);
  const parts = [
    el("p", { class: "verdict" }, el("strong", { class: tone }, verdict), `: ${show(found.why)}`),
    el("p", {}, "Key ", el("code", {}, data(found.key, found.enc)), found.enc === "base64" ? " (binary)" : "",
      `, partition ${found.partition}, `, el("span", { class: "quiet mono" }, `md5 ${show(found.md5)}`)),
    replicas(found, letters),
  ];
  if (found.merged.length) parts.push(...versions(found));
  for (const [name, lines] of [["Repairs", found.repairs], ["Survives", found.survives]]) {
    if (lines?.length) parts.push(el("h3", {}, name), el("ul", {}, lines.map((line) => el("li", {}, words(line)))));
  }
  const next = nextCommand(found, status);
  if (next) parts.push(el("p", { class: "next" }, "Next: ", el("code", {}, next)));
  return parts;
}

const words = (line) => (typeof line === "string" ? show(line)
  : Object.entries(line).filter(([, value]) => value !== null).map(([name, value]) => `${show(name)} ${show(value)}`).join(", "));

function table(head, rows, kind) {
  return el("div", { class: "wide", tabindex: "0" }, el("table", { class: kind },
    el("thead", {}, el("tr", {}, head.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first),
      rest.map((cell) => el("td", {}, cell)))))));
}

function replicas(found, letters) {
  const rows = found.replicas.map((replica) => [
    show(replica.node), show(replica.role) + (replica.hint_for ? ` for ${show(replica.hint_for)}` : ""),
    show(replica.state), held(replica, letters), show(replica.note ?? ""),
  ]);
  return table(["Node", "Role", "State", "Holds", "Note"], rows, "replicas");
}

/** What a node holds: letters of the versions below, and clocks of those that others have replaced. */
function held(replica, letters) {
  if (replica.versions === null) return "?";
  const names = replica.versions.map((version) =>
    letters.find(([merged]) => same(merged, version.clock))?.[1] ?? `an older one, ${clock(version.clock)}`);
  return names.join(" ") || "nothing";
}

function versions(found) {
  const shown = found.merged.slice(0, VERSIONS_SHOWN);
  const stories = shown.map((version) =>
    found.replicas.flatMap((replica) => replica.versions ?? []).find((each) => same(each.clock, version.clock)));
  const actors = [...new Set(shown.flatMap((version) => Object.keys(version.clock)))].sort();
  const rows = [
    ["Value", ...shown.map((version) => value(version))],
    ["Event", ...stories.map((story) => el("code", {}, show(story?.dot ?? "?")))],
    ...actors.map((actor) => [`Clock: ${show(actor)}`, ...shown.map((version) => String(version.clock[actor] ?? "-"))]),
    ["Written", ...stories.map((story) => (story ? when(story.written_at) : "?"))],
    ["Writer", ...stories.map((story) => show(story?.writer || "-"))],
    ["Held by", ...shown.map((version) => holders(found, version))],
  ];
  const title = shown.length === 1 ? "The version" : `${many(found.merged.length, "version")}, none of which has seen another`;
  const rest = found.merged.length - shown.length;
  return [el("h3", {}, title), table(["", ...shown.map((_, at) => letter(at))], rows, "siblings"),
    rest ? el("p", {}, `and ${count(rest)} more: dyn key explain`) : ""].filter(Boolean);
}

const holders = (found, version) => found.replicas
  .filter((replica) => replica.versions?.some((each) => same(each.clock, version.clock)))
  .map((replica) => show(replica.node)).join(", ") || "?";

function value(version) {
  if (version.deleted) return el("em", {}, "deleted");
  const text = data(version.value, version.enc, { lines: true });
  const size = version.enc === "base64" ? atob(version.value).length : new TextEncoder().encode(version.value).length;
  const rest = text.length > CHARACTERS_SHOWN ? `… ${bytes(size)} in all` : "";
  return [el("pre", { tabindex: text.length > 400 ? "0" : null }, text.slice(0, CHARACTERS_SHOWN) || "(empty)"),
    el("span", { class: "quiet" }, rest || `${bytes(size)}${version.enc === "base64" ? ", binary" : ""}`)];
}

/** The command that mends what the verdict says, if the key can be typed. */
function nextCommand(found, status) {
  const verb = { conflict: "merge", stale: "key repair" }[found.verdict];
  if (!verb || found.enc !== "utf8" || show(found.key) !== found.key || found.key[0] === "-") return "";
  const address = status?.nodes.find((node) => node.name === status.answered_by)?.address;
  const word = /^[\w:.,/@%+=-]+$/.test(found.key) ? found.key : `'${found.key.replaceAll("'", "'\\''")}'`;
  return `dyn${address ? ` -n ${show(address)}` : ""} ${verb} ${word}`;
}
