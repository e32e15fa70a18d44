// <copy-button data-done="…">: copies the text of the <pre> beside it, and says so for a moment.

const SAID_MS = 1500;

customElements.define("copy-button", class extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("button");
    button.addEventListener("click", async () => {
      const text = this.parentElement.querySelector("pre").innerText;
      await copy(text);
      const said = button.textContent;
      button.textContent = this.dataset.done;
      setTimeout(() => { button.textContent = said; }, SAID_MS);
    });
  }
});

// Browsers have no clipboard for pages that came over plain HTTP from another machine.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
