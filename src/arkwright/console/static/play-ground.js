// <play-ground>: what two chat panes share: the message, the parameters, the key, the code, and a link that restores it
// all. The key is kept in memory only; the link's state stands behind its #, which no browser sends to a server.

import "./chat-pane.js";

const STATE_MAX = 8000; // Letters of an address that everything carries whole.
const LEFT_MIN_MS = 60_000;
const NUMBERS = ["temperature", "top_p", "max_tokens", "seed"];

customElements.define("play-ground", class extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.panes = [...this.querySelectorAll("chat-pane")];
    this.complaint = this.querySelector(".complaint");
    this.querySelector(".needs-scripts").remove();
    this.form.hidden = false;
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.on(".stop-all", () => this.panes.forEach((pane) => pane.stop()));
    this.on(".clear", () => this.panes.forEach((pane) => pane.clear()));
    this.on(".share", () => this.share());
    this.on(".code", () => this.code());
    this.form.elements.message.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    addEventListener("hashchange", () => this.restore());
    this.restore();
  }

  on(selector, done) { this.querySelector(selector).addEventListener("click", done); }

  field(name) { return this.form.elements[name].value.trim(); }

  say(text) {
    this.complaint.textContent = text;
    this.complaint.hidden = !text;
  }

  // The body of a request without model and messages; undefined when a field can't be read, which is said.
  settings() {
    const settings = {};
    for (const name of NUMBERS) if (this.field(name)) settings[name] = Number(this.field(name));
    const stops = this.field("stop").split("\n").filter(Boolean);
    if (stops.length) settings.stop = stops;
    for (const name of ["tools", "schema"]) {
      if (!this.field(name)) continue;
      try {
        const value = JSON.parse(this.field(name));
        if (name === "tools") settings.tools = Array.isArray(value) ? value : [value];
        else settings.response_format = { type: "json_schema", json_schema: { name: "answer", schema: value, strict: true } };
      } catch (error) {
        this.say(`${this.dataset[name]} ${error.message}`);
        this.form.elements[name].focus();
        return undefined;
      }
    }
    return settings;
  }

  send() {
    this.say("");
    const settings = this.settings();
    const text = this.field("message");
    if (!settings || !text || this.panes.some((pane) => pane.busy)) return;
    this.sent = text;
    this.form.elements.message.value = "";
    const key = (anew) => this.key(anew);
    for (const pane of this.panes) pane.ask(text, this.field("system"), settings, key);
  }

  // One for both panes, asked for once; made by a form of ours, told in its answer, kept nowhere else.
  async key(anew) {
    const living = this.opened && (await this.opened);
    if (living && !anew && Date.parse(living.expires_at) - Date.now() > LEFT_MIN_MS) return living.secret;
    if (living === undefined || this.told === living) this.opened = this.open();
    this.told = await this.opened;
    return this.told.secret;
  }

  async open() {
    const answer = await this.post(this.dataset.key, { organization: this.dataset.organization });
    const told = await answer.json().catch(() => undefined);
    if (!answer.ok || !told?.secret) {
      this.opened = undefined;
      throw new Error(told?.error?.message ?? this.dataset.keyless);
    }
    return told;
  }

  post(address, fields) {
    const body = new URLSearchParams({ token: this.form.elements.token.value, ...fields });
    return fetch(address, { method: "POST", body });
  }

  state() {
    const fields = {};
    for (const name of ["system", "tools", "schema", "stop", ...NUMBERS]) if (this.field(name)) fields[name] = this.field(name);
    return { models: this.panes.map((pane) => pane.model), message: this.field("message") || this.sent || "", ...fields };
  }

  async share() {
    const bytes = new TextEncoder().encode(JSON.stringify(this.state()));
    const kept = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    if (kept.length > STATE_MAX) {
      this.say(this.dataset.long);
      return;
    }
    history.replaceState(null, "", `#${kept}`);
    await navigator.clipboard?.writeText(location.href).catch(() => undefined);
    this.say(this.dataset.shared);
  }

  restore() {
    const kept = location.hash.slice(1);
    if (!kept || kept.length > STATE_MAX) return;
    let state;
    try {
      const bytes = atob(kept.replaceAll("-", "+").replaceAll("_", "/"));
      state = JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (sign) => sign.charCodeAt(0))));
    } catch {
      this.say(this.dataset.broken);
      return;
    }
    for (const name of ["message", "system", "tools", "schema", "stop", ...NUMBERS]) {
      this.form.elements[name].value = typeof state[name] === "string" ? state[name] : "";
    }
    this.panes.forEach((pane, index) => { pane.model = String(state.models?.[index] ?? ""); });
  }

  async code() {
    this.say("");
    const settings = this.settings();
    if (!settings) return;
    const { message, system } = this.state();
    const said = this.panes[0].messages;
    // What is typed comes next; without it, what was asked last.
    const asked = { role: "user", content: message || this.dataset.hello };
    const messages = said.length && !this.field("message") ? said.slice(0, -1) : [...said, asked];
    if (system) messages.unshift({ role: "system", content: system });
    const body = JSON.stringify({ model: this.panes[0].model, messages, ...settings });
    const answer = await this.post(this.dataset.code, { body });
    const dialog = this.querySelector("dialog");
    // A page of ours, parsed without being run; every value in it was escaped where it was made.
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    dialog.querySelector(".samples").replaceChildren(...page.body.childNodes);
    dialog.showModal();
  }
});
