// <bill-check>: verifies a proof export in the page, line by line, as `arkwright audit verify` does: signatures (Ed25519 by
// the browser), chain, each row's place in its tree (SHA-256), completeness, arithmetic. Its words are the page's:
// data-faults has what is said of each fault, elements with data-say and data-fill are shown and filled.

const FAULTS_MAX = 1000, FAULTS_SHOWN = 50, LINE_BYTES_MAX = 16 << 20, PAUSE_MS = 40, PICO = 10n ** 12n;

// SHA-256 of bytes. The browser's own is asynchronous: twenty of them for each row would take minutes.
const frac = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
const K = Int32Array.from(primes, (p) => frac(Math.cbrt(p))), START = primes.slice(0, 8).map((p) => frac(Math.sqrt(p)));
const W = new Int32Array(64);

export function sha256(bytes) {
  const size = bytes.length, padded = new Uint8Array((size + 72) >> 6 << 6), view = new DataView(padded.buffer);
  padded.set(bytes);
  padded[size] = 128;
  view.setUint32(padded.length - 8, size / 2 ** 29);
  view.setUint32(padded.length - 4, size << 3);
  const hash = Int32Array.from(START);
  for (let at = 0; at < padded.length; at += 64) {
    let a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4], f = hash[5], g = hash[6], h = hash[7];
    for (let i = 0; i < 64; i++) {
      if (i < 16) W[i] = view.getInt32(at + 4 * i);
      else {
        const x = W[i - 15], y = W[i - 2];
        W[i] = W[i - 16] + W[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3)
          + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10);
      }
      const t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + K[i] + W[i] | 0;
      const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
      h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
    }
    hash[0] += a; hash[1] += b; hash[2] += c; hash[3] += d; hash[4] += e; hash[5] += f; hash[6] += g; hash[7] += h;
  }
  hash.forEach((word, i) => view.setInt32(4 * i, word));
  return padded.slice(0, 32);
}

const encoder = new TextEncoder();
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text) => {
  const bytes = new Uint8Array(/^([0-9a-f]{2})*$/.test(text) ? text.length / 2 : 0);
  return bytes.map((_, i) => parseInt(text.substr(2 * i, 2), 16));
};
const hash = (mark, left, right) => {
  const bytes = new Uint8Array(1 + left.length + right.length);
  bytes[0] = mark;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.length);
  return sha256(bytes);
};
const leaf = (text) => hash(0, encoder.encode(text), []);
const node = (left, right) => hash(1, left, right);

// What a line may hold: s text, i whole number, o that or null, b yes or no, m amounts by currency, t a turn; a field that
// ends with ? is left out at its default. Written anew by this, a line must be what it was, byte for byte.
const schema = (text, nested = {}) => text.split(" ").sort().map((word) => {
  const [name, kind] = word.split(":");
  return [name, nested[name] || kind[0], word.endsWith("?")];
});
const COUNTS = ("input_tokens cached_input_tokens cache_write_tokens output_tokens reasoning_tokens"
  + " explicit_cached_tokens cache_write_1h_tokens image_input_tokens audio_input_tokens video_input_tokens"
  + " image_output_tokens audio_output_tokens video_output_tokens images characters audio_input_ms audio_output_ms"
  + " video_output_ms web_search_calls file_search_calls code_calls tool_calls cache_storage_token_hours").split(" ");
const ITEMS = ("input cached_input cache_write output reasoning explicit_cached_input cache_write_1h image_input"
  + " audio_input video_input image_output audio_output video_output image character audio_input_time audio_output_time"
  + " video_output_time web_search file_search code_call tool_call cache_storage").split(" ");
const LINE = schema("item:s quantity:i pico_per_unit:s amount_pico:s above_input_tokens:i? list_pico_per_unit:s?"
  + " discount_bp:i? lot:s? rule:s?");
const ROW = schema("event_id:s organization_id:s organization_class:s industry:s? prepaid:b project_id:s key_id:s"
  + " endpoint:s model:s target:s upstream_model:s upstream_request_id:s streamed:b status:i finish:s started_us:i"
  + " ended_us:i placed_us:i ttft_us:o usage:u usage_source:s mode:s service_tier:s thinking:b? resolution:s? currency:s"
  + " price_version:s lines:l draws:d? amount_pico:s granted_pico:s uncollected_pico:s", {
  usage: schema(COUNTS.map((name) => `${name}:n?`).join(" ")), lines: [LINE], draws: [schema("lot:s units:i")],
});
const ROOT = schema("number:i day:s over:b tree:s previous:s journals:s sealed_us:i version:i");
const PART = schema("organization_id:s rows:i amount_pico:m root:s salt:s");
const KINDS = {
  "usage proof": schema("kind:s organization_id:s first:s last:s key:s version:i"),
  root: schema("kind:s root:r signature:s part:p path:t", { root: ROOT, part: PART, path: ["t"] }),
  row: schema("kind:s index:i row:r path:p", { row: ROW, path: ["s"] }),
  end: schema("kind:s roots:i rows:i amount_pico:m"),
};
const TYPES = {
  s: (x) => typeof x == "string", b: (x) => typeof x == "boolean", i: Number.isSafeInteger,
  o: (x) => x === null || TYPES.i(x), n: (x) => TYPES.i(x) && x >= 0,
  m: (x) => x && Object.values(x).every(TYPES.s),
  t: (x) => x.length === 2 && /^[LR]$/.test(x[0]) && TYPES.s(x[1]),
};

function canonical(thing, kind) {
  if (typeof kind == "string") {
    if (!TYPES[kind](thing)) throw new TypeError(kind);
    return JSON.stringify(kind === "m" ? Object.fromEntries(Object.entries(thing).sort()) : thing);
  }
  if (kind.length === 1) return `[${thing.map((each) => canonical(each, kind[0]))}]`;
  let left = Object.keys(thing).length;
  const fields = [];
  for (const [name, type, optional] of kind) {
    const value = thing[name];
    if (value !== undefined) left--;
    else if (optional) continue;
    const text = canonical(value, type);
    if (!(optional && ["0", '""', "false", "[]"].includes(text))) fields.push(`"${name}":${text}`);
  }
  if (left) throw new TypeError("more");
  return `{${fields}}`;
}

const whole = (text) => (/^(0|[1-9]\d{0,37})$/.test(text) ? BigInt(text) : null);
const add = (sums, currency, pico) => { sums[currency] = (sums[currency] || 0n) + pico; };
const shown = (sums) => `{${Object.entries(sums).map(([currency, pico]) => `'${currency}': '${pico}'`).join(", ")}}`;
const same = (sums, said) => {
  const names = Object.keys(said);
  return names.length === Object.keys(sums).length && names.every((each) => `${sums[each]}` === said[each]);
};
const named = (line) => `${line.root.number} of ${line.root.day}`;

function byPath(top, index, size, path) {
  if (!(index >= 0 && index < size)) return "";
  let last = size - 1;
  for (const sibling of path) {
    if (!last) return "";
    if (index % 2 || index === last) {
      top = node(unhex(sibling), top);
      while (index && !(index % 2)) { index /= 2; last = Math.floor(last / 2); }
    } else top = node(top, unhex(sibling));
    index = Math.floor(index / 2);
    last = Math.floor(last / 2);
  }
  return last ? "" : hex(top);
}

function discounted(unit, bp) {
  const product = unit * BigInt(10000 - bp), cut = product / 10000n, rest = product % 10000n * 2n;
  return bp ? cut + (rest > 10000n || (rest === 10000n && cut % 2n) ? 1n : 0n) : unit;
}

// One fault: {line, subject, code, values}; line 0 is the file as a whole, subject file|line|key|end or "root …", "event …".
export class Checker {
  faults = []; omitted = 0; line = 0; roots = 0; rows = 0; amounts = {}; organization = ""; first = 0; last = 0;

  // holds(signature, message): whether the key signed it; may be a promise.
  constructor(holds, key) {
    Object.assign(this, { holds, key, head: null, root: null, due: 0, inPart: {}, before: "", ended: false });
  }

  fault(subject, code, ...values) {
    if (this.faults.length < FAULTS_MAX) this.faults.push({ line: this.line, subject, code, values });
    else this.omitted++;
  }

  // A line with its end, as bytes.
  async check(bytes) {
    this.line++;
    if (this.ended) return this.fault("file", "after_end");
    let text, line, written;
    try { text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes); } catch {
      return this.fault("line", "not_utf8");
    }
    try {
      line = JSON.parse(text);
      written = canonical(line, KINDS[line.kind]);
    } catch { return this.fault("line", "no_line"); }
    if (`${written}\n` !== text) this.fault("line", "not_canonical");
    if (this.line === 1 && line.kind !== "usage proof") this.fault("file", "no_head");
    if (line.kind === "row") this.row(line);
    else if (line.kind === "root") await this.open(line);
    else if (line.kind === "end") this.end(line);
    else this.begin(line);
  }

  finish() {
    if (this.ended) return;
    this.line = 0;
    this.fault("file", "no_end");
  }

  begin(head) {
    if (this.line !== 1) return this.fault("line", "head_inside");
    this.head = head;
    this.organization = head.organization_id;
    if (head.key !== this.key) this.fault("key", "other_key", head.key, this.key);
    if (head.version !== 1) this.fault("file", "version", head.version, 1);
  }

  async open(line) {
    this.close();
    const root = line.root, subject = `root ${named(line)}`, before = this.root, part = line.part;
    const message = encoder.encode(`arkwright root 1\n${canonical(root, ROOT)}`);
    if (!await this.holds(unhex(line.signature), message)) this.fault(subject, "signature");
    if (!before) {
      if (this.head && root.day !== this.head.first) this.fault(subject, "first_day", this.head.first);
      this.first = root.number;
    } else {
      if (root.number !== before.root.number + 1) this.fault(subject, "gap", before.root.number);
      else if (root.previous !== hex(sha256(encoder.encode(canonical(before.root, ROOT))))) {
        this.fault(subject, "chain", before.root.number);
      }
      if (root.day !== before.root.day && !before.root.over) this.fault(subject, "day_open", before.root.day);
    }
    if (part.organization_id !== this.organization) {
      this.fault(subject, "part_owner", part.organization_id, this.organization);
    }
    let top = leaf(canonical(part, PART));
    for (const [side, sibling] of line.path) {
      top = side === "L" ? node(unhex(sibling), top) : node(top, unhex(sibling));
    }
    if (hex(top) !== root.tree) this.fault(subject, "part");
    Object.assign(this, { root: line, due: 0, inPart: {}, before: "", last: root.number });
    this.roots++;
  }

  row(line) {
    const row = line.row, subject = `event ${row.event_id}`, root = this.root;
    this.rows++;
    this.arithmetic(subject, row);
    for (const sums of [this.amounts, this.inPart]) add(sums, row.currency, whole(row.amount_pico) || 0n);
    if (!root) return this.fault(subject, "no_root");
    if (line.index === this.due) this.due++;
    else if (line.index > this.due) {
      this.missing(root, line.index);
      this.due = line.index + 1;
    } else this.fault(subject, "twice", line.index, named(root));
    if (row.organization_id !== this.organization) {
      this.fault(subject, "row_owner", row.organization_id, this.organization);
    }
    const reached = byPath(leaf(canonical(row, ROW)), line.index, root.part.rows, line.path);
    if (reached !== root.part.root) this.fault(subject, "row", line.index, named(root));
    this.before = row.event_id;
  }

  arithmetic(subject, row) {
    const texts = [row.amount_pico, row.granted_pico, row.uncollected_pico,
      ...row.lines.flatMap((line) => [line.pico_per_unit, line.amount_pico])];
    if (texts.some((text) => whole(text) === null)) return this.fault(subject, "no_amount");
    let total = 0n;
    const charged = {};
    for (const line of row.lines) {
      const unit = BigInt(line.pico_per_unit), amount = BigInt(line.amount_pico), due = BigInt(line.quantity) * unit;
      if (!ITEMS.includes(line.item)) this.fault(subject, "item", line.item);
      if (due !== amount) this.fault(subject, "product", line.item, line.quantity, unit, due, amount);
      const listed = whole(line.list_pico_per_unit || line.pico_per_unit);
      const price = line.lot ? 0n : listed === null ? null : discounted(listed, line.discount_bp || 0);
      if (price !== unit) this.fault(subject, "discount", line.item, unit, price === null ? "None" : price);
      total += amount;
      charged[line.item] = (charged[line.item] || 0) + line.quantity;
    }
    if (total !== BigInt(row.amount_pico)) this.fault(subject, "total", total, row.amount_pico);
    if (BigInt(row.granted_pico) + BigInt(row.uncollected_pico) > BigInt(row.amount_pico)) this.fault(subject, "granted");
    ITEMS.forEach((item, at) => {
      const used = row.usage[COUNTS[at]] || 0, paid = charged[item] || 0;
      if (used !== paid) this.fault(subject, "quantity", used, COUNTS[at], paid);
    });
  }

  close() {
    const root = this.root;
    if (!root) return;
    if (this.due < root.part.rows) this.missing(root, root.part.rows);
    if (!same(this.inPart, root.part.amount_pico)) {
      this.fault(`root ${named(root)}`, "sum", shown(this.inPart), shown(root.part.amount_pico));
    }
  }

  missing(root, upto) {
    const one = upto === this.due + 1, code = (one ? "missing_one" : "missing") + (this.before && "_after");
    this.fault(`root ${named(root)}`, code, this.due, upto - 1, root.part.rows, this.before);
  }

  end(end) {
    this.close();
    this.ended = true;
    if (end.roots !== this.roots || end.rows !== this.rows || !same(this.amounts, end.amount_pico)) {
      const told = (roots, rows, sums) => [roots, rows, Object.entries(sums).sort().map(
        ([currency, pico]) => `${pico} pico ${currency}`).join(", ") || "no amount"];
      this.fault("end", "totals", ...told(end.roots, end.rows, end.amount_pico),
        ...told(this.roots, this.rows, this.amounts));
    }
    const last = this.root ? this.root.root.day : "";
    if (this.head && last !== this.head.last) this.fault("end", "last_day", last || "no day", this.head.last);
  }
}

// Raises for a text that is no key.
export async function verifier(key) {
  const raw = Uint8Array.from(atob(key.replace(/^ed25519:/, "")), (letter) => letter.charCodeAt(0));
  if (!key.startsWith("ed25519:") || raw.length !== 32) throw new TypeError("key");
  const known = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  return (signature, message) => crypto.subtle.verify("Ed25519", known, signature, message);
}

// Each line of a stream goes to the checker; the page breathes meanwhile.
export async function run(stream, checker, told = () => {}) {
  let rest = new Uint8Array(0), read = 0, paused = performance.now();
  const reader = stream.getReader();
  for (let done = false; !done;) {
    const part = await reader.read();
    done = part.done;
    if (!done) {
      read += part.value.length;
      rest = rest.length ? join2(rest, part.value) : part.value;
    }
    let at = 0;
    for (let end; (end = rest.indexOf(10, at)) >= 0; at = end + 1) {
      await checker.check(rest.subarray(at, end + 1));
      if (performance.now() - paused > PAUSE_MS) {
        told(read);
        await new Promise((go) => { setTimeout(go); });
        paused = performance.now();
      }
    }
    rest = rest.subarray(at);
    if (rest.length > LINE_BYTES_MAX) throw new RangeError("line");
  }
  if (rest.length) await checker.check(rest);
  checker.finish();
}

function join2(left, right) {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

const money = (sums) => Object.entries(sums).map(([currency, pico]) => {
  const text = `${pico}`.padStart(13, "0");
  return `${text.slice(0, -12)}.${text.slice(-12).replace(/0{1,10}$/, "")} ${currency}`;
}).join(", ");

class BillCheck extends (globalThis.HTMLElement || Object) {
  connectedCallback() {
    this.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.verify(event.target.elements).catch(() => this.say("failed"));
    });
    if (!globalThis.crypto?.subtle) this.say("insecure");
  }

  say(...names) {
    for (const each of this.querySelectorAll("[data-say]")) each.hidden = !names.includes(each.dataset.say);
  }

  fill(name, ...texts) {
    for (const each of this.querySelectorAll(`[data-fill="${name}"]`)) {
      each.replaceChildren(...texts.map((text) => (name === "faults"
        ? Object.assign(document.createElement("li"), { textContent: text }) : text)));
    }
  }

  count(name, number) { this.fill(name, number.toLocaleString(document.documentElement.lang)); }

  async verify({ key, file }) {
    if (!globalThis.crypto?.subtle) return this.say("insecure");
    const given = key.value.trim(), checker = new Checker(await verifier(given), given);
    const told = (bytes) => { this.count("bytes", bytes); this.count("rows", checker.rows); };
    told(0);
    this.say("reading");
    const own = file.files[0], answer = own || await fetch(this.dataset.src);
    if (!own && !answer.ok) return this.say(answer.status === 400 ? "nothing" : "failed");
    await run(own ? own.stream() : answer.body, checker, told);
    this.count("rows", checker.rows);
    this.count("roots", checker.roots);
    this.fill("amount", money(checker.amounts) || "0");
    if (checker.faults.length) return this.broken(checker);
    this.fill("days", checker.head.first === checker.head.last ? checker.head.first
      : `${checker.head.first} – ${checker.head.last}`);
    const ledger = own ? null : await (await fetch(`${this.dataset.ledger}&first=${checker.first}&last=${checker.last}`)).json();
    if (ledger) this.fill("ledger", money(ledger) || "0");
    this.say("proved", !ledger ? "own" : same(checker.amounts, ledger) ? "agrees" : "differs");
  }

  broken(checker) {
    const words = JSON.parse(this.dataset.faults), found = checker.faults;
    const say = (code, values) => words[code].replace(/\{(\d)\}/g, (_, at) => values[at]);
    this.count("found", found.length + checker.omitted);
    this.fill("faults", ...found.slice(0, FAULTS_SHOWN).map(({ line, subject, code, values }) => {
      const [kind, ...name] = subject.split(" ");
      return `${line ? `${say("at", [line])} ` : ""}${say(kind, [name.join(" ")])}: ${say(code, values)}`;
    }));
    this.say("broken");
  }
}
globalThis.customElements?.define("bill-check", BillCheck);
