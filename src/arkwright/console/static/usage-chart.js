// <usage-chart>: a chart over time by uPlot, of the JSON in data-chart:
//   {"moments": [seconds …], "series": [{"label": "…", "values": [number or null …]} …], "unit": "…", "bars": true, "points": true}
// The same figures stand in a table beside it; colours are the page's. Needs vendor/uplot.js and vendor/uplot.css.

const COLOURS = ["--accent", "--warn", "--good", "--bad", "--quiet"];
const HEIGHT = 240;

customElements.define("usage-chart", class extends HTMLElement {
  static observedAttributes = ["data-chart"];

  connectedCallback() {
    this.sized = new ResizeObserver(() => this.chart?.setSize({ width: this.clientWidth, height: HEIGHT }));
    this.sized.observe(this);
    this.darkness = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.darkness.addEventListener("change", this.redraw);
    this.draw();
  }

  disconnectedCallback() {
    this.sized.disconnect();
    this.darkness.removeEventListener("change", this.redraw);
    this.chart?.destroy();
  }

  attributeChangedCallback() {
    if (this.isConnected && this.sized) this.draw();
  }

  draw() {
    this.chart?.destroy();
    const given = JSON.parse(this.dataset.chart || "{}");
    if (!given.moments?.length) return;
    const colour = (name) => getComputedStyle(this).getPropertyValue(name).trim();
    // light-dark() is resolved only where it is used: ask a colour of the page itself.
    const resolved = (name) => {
      const probe = document.createElement("span");
      probe.style.color = `var(${name})`;
      this.append(probe);
      const found = getComputedStyle(probe).color;
      probe.remove();
      return found || colour(name);
    };
    const bars = given.bars ? uPlot.paths.bars({ size: [0.7, 40] }) : undefined;
    const axis = { stroke: resolved("--quiet"), grid: { stroke: resolved("--line"), width: 1 }, ticks: { show: false } };
    const options = {
      width: this.clientWidth || 600,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { points: { size: 6 } },
      scales: { y: { range: (_chart, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : 1] } },
      axes: [axis, { ...axis, size: 64 }],
      series: [{}, ...given.series.map((each, index) => ({
        label: each.label,
        stroke: resolved(COLOURS[index % COLOURS.length]),
        fill: given.bars ? resolved(COLOURS[index % COLOURS.length]) : undefined,
        dash: each.dashed ? [4, 4] : undefined,
        width: 2,
        paths: bars,
        points: { show: given.points || given.moments.length < 3 },
      }))],
    };
    this.chart = new uPlot(options, [given.moments, ...given.series.map((each) => each.values)], this);
  }
});
