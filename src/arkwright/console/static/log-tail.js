// <log-tail data-url="…?as=json" data-next="byte">: adds what a log's writer writes to the <pre> in it, twice a second.
// Stays at the end while it is there; who scrolls up, or takes the tick away, is left where they read. No words here.

const PAUSE_MS = 500;
const PAUSE_HIDDEN_MS = 5000;
const LINES_MAX = 2000;

customElements.define("log-tail", class extends HTMLElement {
  connectedCallback() {
    this.box = this.querySelector("pre");
    this.code = this.querySelector("code");
    this.tick = this.querySelector("input[type=checkbox]");
    this.lines = this.code.textContent ? this.code.textContent.replace(/\n$/, "").split("\n") : [];
    this.next = this.dataset.next ?? "";
    this.box.scrollTop = this.box.scrollHeight;
    this.look();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  async look() {
    try {
      if (!this.tick || this.tick.checked) await this.add();
    } catch {
      // Control is away for a moment: it is asked again.
    }
    if (this.isConnected) this.timer = setTimeout(() => this.look(), document.hidden ? PAUSE_HIDDEN_MS : PAUSE_MS);
  }

  async add() {
    const from = this.next === "" ? "" : `&from=${encodeURIComponent(this.next)}`;
    const answer = await fetch(this.dataset.url + from, { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    const page = await answer.json();
    this.next = String(page.next);
    if (!page.lines.length) return;
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    this.lines = [...this.lines, ...page.lines].slice(-LINES_MAX);
    this.code.textContent = this.lines.join("\n") + "\n";
    if (atEnd) this.box.scrollTop = this.box.scrollHeight;
  }
});
