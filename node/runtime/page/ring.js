// The ring as a picture: a band for each owner, the primary's outermost, clockwise from the top, and what moves outside.

import { many, show, svg } from "./text.js";

const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f"];
const OUTER = 194, BAND = 36, GAP = 4, BANDS_MAX = 3, TAKER = 10, TAKER_GAP = 6;
const PARTED_MAX = 256; // partitions that are parted by lines: of more there would be nothing but lines

/** A colour for each node: eight that most people can tell apart (Okabe and Ito), beyond that hues. */
export function colours(names) {
  const hue = (at) => `hsl(${Math.round((360 * at) / names.length)} 62% ${[42, 55, 68][at % 3]}%)`;
  return new Map(names.map((name, at) => [name, names.length <= PALETTE.length ? PALETTE[at] : hue(at)]));
}

const point = (turn, radius) => {
  const angle = 2 * Math.PI * turn - Math.PI / 2;
  return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
};

function arc(begin, end, outer, inner) {
  if (end - begin > 0.999) return arc(0, 0.5, outer, inner) + arc(0.5, 0.9989, outer, inner);
  const large = end - begin > 0.5 ? 1 : 0;
  return (
    `M${point(begin, outer)}A${outer} ${outer} 0 ${large} 1 ${point(end, outer)}` +
    `L${point(end, inner)}A${inner} ${inner} 0 ${large} 0 ${point(begin, inner)}Z`
  );
}

/** One path for each node of a band, as a map: neighbours of one owner are one arc where there are too many to part. */
function paths(owners, outer, inner) {
  const found = new Map();
  const parted = owners.length <= PARTED_MAX;
  for (let begin = 0, at = 1; at <= owners.length; at += 1) {
    if (at < owners.length && !parted && owners[at] === owners[begin]) continue;
    const name = owners[begin];
    if (name !== undefined && name !== null) {
      const path = arc(begin / owners.length, at / owners.length, outer, inner);
      found.set(name, (found.get(name) ?? "") + path);
    }
    begin = at;
  }
  return found;
}

export class Ring {
  /** Draws into `place`; `choose(partition)` is called for a click, `point(partition or null)` for a pointer above it. */
  constructor(place, { choose, point: pointed }) {
    this.place = place;
    this.partitions = 0;
    place.addEventListener("click", (event) => {
      const at = this.partitionAt(event);
      if (at !== null) choose(at);
    });
    place.addEventListener("pointermove", (event) => pointed(this.partitionAt(event)));
    place.addEventListener("pointerleave", () => pointed(null));
  }

  /** Draw a dyn.ring/v1 document. `colour` maps names, `down` holds the names of those that do not answer. */
  draw(ring, colour, down) {
    const { partitions, preference, moving } = ring;
    this.partitions = partitions;
    this.bands = Math.min(ring.n, BANDS_MAX, Math.max(...preference.map((nodes) => nodes.length)));
    this.outer = moving ? OUTER - TAKER - TAKER_GAP : OUTER;
    this.inner = this.outer - this.bands * (BAND + GAP) + GAP;
    const picture = svg("svg", { viewBox: "-200 -200 400 400", role: "img" });
    const title = `Ring of epoch ${ring.epoch}: ${many(partitions, "partition")} on ${many(ring.members.length, "node")}`;
    picture.append(
      svg("title", {}, title),
      svg("defs", {}, svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)" }, svg("line", { y2: 6, class: "cut" }))),
    );
    const width = partitions <= 64 ? 1.5 : partitions <= PARTED_MAX ? 0.7 : 0;
    const band = (owners, outer, inner, place) => {
      for (const [name, path] of paths(owners, outer, inner)) {
        const facts = { d: path, "stroke-width": width, "data-node": name, "data-place": place };
        picture.append(svg("path", { ...facts, class: "arc", fill: colour.get(name) ?? "#888" }));
        if (down.has(name)) picture.append(svg("path", { ...facts, class: "arc", fill: "url(#hatch)" }));
      }
    };
    for (let place = 0; place < this.bands; place += 1) {
      const outer = this.outer - place * (BAND + GAP);
      band(preference.map((nodes) => nodes[place]), outer, outer - BAND, place);
    }
    if (moving) {
      const takes = new Set(moving.partitions ?? []);
      const taker = (name, at) => (takes.has(at) || name !== ring.owners[at] ? name : null);
      band(moving.owners.map(taker), OUTER, OUTER - TAKER, "taker");
    }
    this.mark = svg("path", { class: "mark", d: "" });
    const words = [[-8, "big", `epoch ${ring.epoch}`], [12, "", many(partitions, "partition")],
      [29, "", `N${ring.n} R${ring.r} W${ring.w}`]];
    for (const [y, kind, text] of words) picture.append(svg("text", { y, class: kind }, text));
    picture.append(this.mark);
    this.place.replaceChildren(picture);
  }

  /** Show what is chosen: a partition (or null), and a node (or null), beside which the others pale. */
  choose(partition, node) {
    if (!this.mark) return;
    const turn = [partition / this.partitions, (partition + 1) / this.partitions];
    this.mark.setAttribute("d", partition === null ? "" : arc(...turn, this.outer + 4, this.inner - 4));
    for (const path of this.place.querySelectorAll(".arc")) {
      path.classList.toggle("dim", node !== null && path.dataset.node !== node);
    }
  }

  partitionAt(event) {
    const box = this.place.querySelector("svg")?.getBoundingClientRect();
    if (!box) return null;
    const scale = 400 / box.width;
    const x = (event.clientX - box.left) * scale - 200, y = (event.clientY - box.top) * scale - 200;
    const radius = Math.hypot(x, y);
    if (radius > 200 || radius < this.inner - 6) return null;
    const turn = (Math.atan2(x, -y) / (2 * Math.PI) + 1) % 1;
    return Math.min(this.partitions - 1, Math.floor(turn * this.partitions));
  }
}

/** Where a partition lives, in words. */
export function place(ring, partition) {
  const nodes = ring.preference[partition] ?? [];
  const [owners, others] = [nodes.slice(0, ring.n), nodes.slice(ring.n)];
  const list = (names) => names.map((name) => show(name)).join(", ") || "nobody";
  return `partition ${partition}: ${list(owners)}` + (others.length ? `; stand-ins ${list(others.slice(0, 5))}` : "")
    + (others.length > 5 ? ` and ${others.length - 5} more` : "");
}
