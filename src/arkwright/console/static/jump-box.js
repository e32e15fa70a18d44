// <jump-box data-url>: Ctrl-K opens it; what is typed is looked up, arrows choose, Enter goes there.

const WAIT_MS = 120;

customElements.define("jump-box", class extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.input = this.querySelector("input");
    this.found = this.querySelector(".found");
    this.querySelector("button.jump").addEventListener("click", () => this.open());
    document.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        this.open();
      }
    });
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), WAIT_MS);
    });
    this.dialog.addEventListener("keydown", (event) => this.move(event));
    this.querySelector("form").addEventListener("submit", (event) => {
      const first = this.found.querySelector("a");
      if (!first) return;
      event.preventDefault();
      location.assign(first.href);
    });
  }

  open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.input.select();
    this.look();
  }

  async look() {
    this.asked?.abort();
    this.asked = new AbortController();
    const address = new URL(this.dataset.url, location.href);
    address.searchParams.set("q", this.input.value);
    address.searchParams.set("part", "1");
    try {
      const answer = await fetch(address, { signal: this.asked.signal });
      if (!answer.ok) return;
      // A page of ours, parsed without being run; every value in it was escaped where it was made.
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      this.found.replaceChildren(...page.body.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  move(event) {
    if (event.key === "Escape") this.dialog.close(); // A search field would empty itself first.
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [this.input, ...this.found.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    stops[(at + step + stops.length) % stops.length].focus();
    event.preventDefault();
  }
});
