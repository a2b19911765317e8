// Particles chosen with a lasso or a rectangle over two columns, or class by class; what is chosen becomes a form for `select`.

import { channels, pageColours } from "./colours.js";
import { inside, simplified, written } from "./polygon.js";
import { Scatter } from "./scatter.js";

const CLOSE = 0.7;  // pixels by which a lasso's line may be off for the sake of fewer corners
const DIGITS = 5;   // of a corner, beyond the first of the width of the view

class Picker {
  constructor(root) {
    this.root = root;
    this.of = (name) => root.querySelector(name);
    [this.canvas, this.above] = root.querySelectorAll("canvas");
    this.scatter = new Scatter(this.canvas);
    this.line = [];      // what is being drawn, in pixels of the page
    this.polygon = null; // what is chosen, in values
    this.latest = 0;     // of the questions for columns
    this.listen();
    this.open();
  }

  listen() {
    for (const id of ["#across", "#up"]) this.of(id).addEventListener("change", () => this.columns());
    this.of("#clear").addEventListener("click", () => this.choose(null));
    this.of("#invert").addEventListener("change", () => this.choose(this.polygon));
    this.of("#whole").addEventListener("click", () => {
      this.scatter.whole();
      this.draw();
    });
    document.addEventListener("theme", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.go(event));
    canvas.addEventListener("pointerup", () => this.end());
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.scatter.enlarge(Math.exp(-event.deltaY / 500), event.offsetX, event.offsetY);
      this.draw();
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => { if (event.key === "Escape") this.choose(null); });
  }

  async open() {
    try {
      const { labels, first, particles } = await (await this.asked("")).json();
      if (labels.length < 2) throw new Error("The particles have no two columns of numbers.");
      this.total = particles;
      [["#across", first[0]], ["#up", first[1]]].forEach(([id, chosen]) => {
        this.of(id).replaceChildren(...labels.map((label) => new Option(label, label, label === chosen, label === chosen)));
      });
      await this.columns();
    } catch (error) {
      this.say(error.message);
    }
  }

  async asked(query) {
    const answer = await fetch(this.root.dataset.columns + query);
    if (!answer.ok) throw new Error("The particles cannot be read.");
    return answer;
  }

  async columns() {
    const mine = ++this.latest;
    this.root.dataset.state = "reading";
    const labels = ["#across", "#up"].map((id) => this.of(id).value);
    try {
      const answer = await this.asked(`?${new URLSearchParams({ x: labels[0], y: labels[1] })}`);
      const values = new Float64Array(await answer.arrayBuffer()), half = values.length / 2;
      if (mine !== this.latest) return;
      this.scatter.set(values.subarray(0, half), values.subarray(half), labels);
      this.say("");
      this.choose(null);
      this.root.dataset.state = "ready";
    } catch (error) {
      if (mine === this.latest) this.say(error.message);
    }
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.moves = event.shiftKey || event.button > 0;
    this.line = this.moves ? [] : [[event.offsetX, event.offsetY]];
  }

  go(event) {
    if (!event.buttons) return;
    if (this.moves) {
      this.scatter.move(event.movementX, event.movementY);
      this.draw();
      return;
    }
    const here = [event.offsetX, event.offsetY], start = this.line[0];
    if (!start) return;
    const isLasso = document.querySelector("[name=tool][value=lasso]").checked;
    this.line = isLasso ? [...this.line, here] : [start, [here[0], start[1]], here, [start[0], here[1]]];
    this.outline();
  }

  end() {
    if (this.moves || this.line.length < 3) {
      this.line = [];
      this.outline();
      return;
    }
    const middle = Math.floor(this.line.length / 2);  // a closed line is two lines
    const corners = [...simplified(this.line.slice(0, middle + 1), CLOSE), ...simplified(this.line.slice(middle), CLOSE).slice(1)];
    this.line = [];
    this.choose(corners.map((corner) => this.rounded(this.scatter.value(...corner))));
  }

  // A corner as it is written down.
  rounded(values) {
    return values.map((value, axis) => {
      const [low, high] = this.scatter.view[axis], decimals = DIGITS - Math.floor(Math.log10(high - low));
      return decimals > 20 ? value : Number(value.toFixed(Math.max(decimals, 0)));
    });
  }

  // Marks the particles of a polygon, or none, and asks for the command that selects them.
  choose(polygon) {
    const { scatter } = this, few = !polygon || polygon.length < 3;
    this.polygon = few ? null : polygon;
    scatter.marks = few ? new Uint8Array(scatter.x.length) : inside(scatter.x, scatter.y, polygon);
    const inverted = !few && this.of("#invert").checked;
    if (inverted) scatter.marks = scatter.marks.map((mark) => 1 - mark);
    const count = scatter.marks.reduce((sum, mark) => sum + mark, 0);
    this.of("#count").textContent = few ? "None" : count.toLocaleString("en").replaceAll(",", "\u202f");
    this.of("#total").textContent = `of ${this.total.toLocaleString("en").replaceAll(",", "\u202f")} particles selected`;
    this.of("#within").value = few ? "" : `'${written(...scatter.labels, polygon)}'`;
    for (const id of ["#save", "#to-form"]) this.of(id).disabled = !count;
    this.of("#check").hidden = few;
    this.root.dataset.count = count;
    if (!few) this.of("#choice").dispatchEvent(new Event("chosen"));
    this.draw();
  }

  draw() {
    this.scatter.draw(this.colours());
    this.outline();
  }

  // The line, above the points.
  outline() {
    const { above, scatter } = this, ratio = Math.min(devicePixelRatio, 2);
    above.width = above.clientWidth * ratio;
    above.height = above.clientHeight * ratio;
    const pen = above.getContext("2d"), line = this.line.length ? this.line : (this.polygon ?? []).map((corner) => scatter.place(...corner));
    if (!line.length) return;
    pen.scale(ratio, ratio);
    pen.beginPath();
    line.forEach((corner) => pen.lineTo(...corner));
    pen.closePath();
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    pen.strokeStyle = getComputedStyle(above).color;
    pen.stroke();
  }

  colours() {
    const { card, c1, c2, ink, quiet, "strong-rule": rule } = pageColours("card", "c1", "c2", "ink", "quiet", "strong-rule");
    return { ground: channels(card), point: channels(c1), marked: channels(c2), ink, quiet, rule };
  }

  say(text) {
    this.of(".said").textContent = text;
    this.of(".said").hidden = !text;
  }
}

const root = document.getElementById("pick");
if (root) new Picker(root);

document.addEventListener("click", (event) => {
  const card = event.target.closest(".class-card");
  if (!card) return;
  card.setAttribute("aria-pressed", card.getAttribute("aria-pressed") === "true" ? "false" : "true");
  const form = card.form, pressed = [...form.querySelectorAll(".class-card[aria-pressed=true]")];
  form.elements.classes.value = pressed.map((one) => one.dataset.class).join(" ");
  const count = pressed.reduce((sum, one) => sum + Number(one.dataset.particles), 0);
  form.querySelector(".aside").textContent = count ? `${count} particles` : "Click the classes to keep.";
  for (const button of form.querySelectorAll("[type=submit]")) button.disabled = !count;
});
