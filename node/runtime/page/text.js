// Elements and words. What comes from the store or from another node enters the page here, as text and nothing else.

const SVG = "http://www.w3.org/2000/svg";
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const HIDDEN_BUT_LINES = /(?!\n)[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu;
const code = (char) => `\\u{${char.codePointAt(0).toString(16)}}`;

/** Text of others: what cannot be seen, or turns the direction of what follows, is shown as its number. */
export const show = (text, { lines = false } = {}) => String(text).replace(lines ? HIDDEN_BUT_LINES : HIDDEN, code);

/** A key or value as a document has it: text, or base64 of bytes that are none. */
export function data(text, enc, options) {
  if (enc !== "base64") return show(text, options);
  const byte = (char) => {
    const at = char.charCodeAt(0);
    return char === "\\" ? "\\\\" : at > 31 && at < 127 ? char : `\\x${at.toString(16).padStart(2, "0")}`;
  };
  return Array.from(atob(text), byte).join("");
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== "" && child !== false));
  return element;
}

/** An element with attributes and children: elements, or strings, which stay text. */
export const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children);

/** Make `parent` show `items` in their order: an element of before stays, with its focus, where the key is the same. */
export function sync(parent, items, keyOf, make, update) {
  const before = new Map(Array.from(parent.children, (child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = before.get(key);
    before.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child !== place) parent.insertBefore(child, place);
    else place = place.nextElementSibling;
    update?.(child, item);
  }
  for (const child of before.values()) child.remove();
}

/** Set the text of an element, if it is another one: a screen reader hears only what is new. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const known = (value) => value !== null && value !== undefined;
export const count = (n) => (known(n) ? n.toLocaleString("en") : "?");
export const ms = (n) => (!known(n) ? "-" : n < 10 ? n.toFixed(1) : Math.round(n).toLocaleString("en"));
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

export function bytes(n) {
  if (!known(n)) return "?";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; n >= 1000 && at < units.length - 1; at += 1) n /= 1000;
  return `${at && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

export function span(seconds) {
  if (!known(seconds)) return "?";
  const s = Math.round(seconds);
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  return d ? `${d}d ${h}h` : h ? `${h}h ${m}m` : m ? `${m}m ${s % 60}s` : `${s}s`;
}

/** A time of a document as hours and minutes here, with the day if it is another one. */
export function when(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return show(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString("en-CA")} `;
  return day + at.toLocaleTimeString("en-GB");
}
