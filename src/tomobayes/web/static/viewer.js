// Maps of a job in three dimensions: which, at what level, in which colours; turned with the mouse or the keyboard.

import { channels, pageColours } from "./colours.js";
import { Scene } from "./scene.js";

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BAR_LENGTHS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000];

class Viewer {
  constructor(root) {
    this.root = root;
    this.of = (name) => root.querySelector(name);
    this.scene = new Scene(this.of("canvas"));
    this.worker = new Worker("/static/surface_worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.made(data);
    this.about = new Map();    // address -> what the server tells of the volume
    this.waiting = new Map();  // surface -> what to ask for once the one under way is made
    this.underWay = new Set();
    this.gone = new Set();     // surfaces that are not to be seen, though one may be under way
    this.sigma = null;         // the level, in deviations from the mean
    this.scene.colours = JSON.parse(root.dataset.colours).map(light);
    this.listen();
    this.paint();
    this.chosen();
  }

  listen() {
    for (const id of ["#first", "#second", "#colour", "#mask"]) this.of(id).addEventListener("change", (event) => this.chosen(event.target.id));
    for (const radio of this.root.querySelectorAll("[name=shown]")) radio.addEventListener("change", () => this.refresh());
    this.of("#level").addEventListener("input", (event) => this.levelled(Number(event.target.value)));
    this.of("#sigma").addEventListener("change", (event) => this.levelled(Number(event.target.value)));
    this.of("#density").addEventListener("change", (event) => {
      const { mean, deviation } = this.first;
      this.levelled((Number(event.target.value) - mean) / deviation);
    });
    this.of("#cut").addEventListener("input", (event) => {
      this.scene.cut = Number(event.target.value);
      this.scene.draw();
    });
    this.of("#reset").addEventListener("click", () => this.moved(() => this.scene.reset()));
    document.addEventListener("theme", () => this.paint());
    new ResizeObserver(() => this.moved()).observe(this.of("canvas"));
    this.listenToHand(this.of("canvas"));
  }

  listenToHand(canvas) {
    const { scene } = this;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointermove", (event) => {
      if (!event.buttons) return;
      const edge = Math.min(canvas.clientWidth, canvas.clientHeight), [dx, dy] = [event.movementX / edge, event.movementY / edge];
      if (event.shiftKey || event.buttons > 1) {
        scene.shift[0] += (2 * event.movementX) / canvas.clientWidth;
        scene.shift[1] -= (2 * event.movementY) / canvas.clientHeight;
        scene.draw();
      } else scene.turned(3 * dx, 3 * dy);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.enlarged(Math.exp(-event.deltaY / 600));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      if (KEYS[event.key]) scene.turned(...KEYS[event.key].map((sign) => sign * 0.1));
      else if (event.key === "+" || event.key === "=") this.enlarged(1.15);
      else if (event.key === "-") this.enlarged(1 / 1.15);
      else if (event.key === "Home") this.moved(() => scene.reset());
      else return;
      event.preventDefault();
    });
  }

  enlarged(factor) {
    this.moved(() => { this.scene.zoom = Math.min(Math.max(this.scene.zoom * factor, 0.3), 20); });
  }

  // Draws after the view has changed, with the bar that tells how large things are.
  moved(change) {
    change?.();
    this.scene.draw();
    const bar = this.of(".scale"), pixel = this.scene.resolution;
    const length = BAR_LENGTHS.filter((one) => one / pixel < 130).at(-1) ?? BAR_LENGTHS[0];
    bar.style.width = `${length / pixel}px`;
    bar.firstElementChild.textContent = `${length} Å`;
  }

  // In the colours of the page.
  paint() {
    const { card, surface, ink, "surface-2": second } = pageColours("card", "surface", "surface-2", "ink");
    this.scene.ground = light(card);
    this.looks = {
      first: { colour: light(surface), opacity: 1 },
      second: { colour: light(second), opacity: 1 },
      mask: { colour: light(ink), opacity: 0.16 },
    };
    for (const [name, mesh] of this.scene.meshes) mesh.look = this.looks[name];
    this.scene.draw();
  }

  get first() { return this.about.get(this.of("#first").value); }

  // Another map, colouring or mask was chosen: what is not there yet is read.
  async chosen(what = "first") {
    this.root.dataset.state = "reading";
    const two = Boolean(this.of("#second").value), radio = (value) => this.of(`[name=shown][value=${value}]`);
    if (what === "second") radio(two ? "both" : "first").checked = true;
    radio("second").disabled = radio("both").disabled = !two;
    const asked = [["#first", 1], ["#second", 1], ["#colour", 0], ["#mask", 0]].map(([id, smooth]) => [this.of(id).value, smooth]);
    try {
      await Promise.all(asked.filter(([where]) => where).map(([where, smooth]) => this.read(where, smooth)));
    } catch (error) {
      this.say(error.message);
      return;
    }
    this.say(this.first.deviation ? "" : "This map is the same everywhere.");
    if (what === "first") this.fitted();
    this.moved();
    this.levelled(this.sigma);
  }

  // View and range of levels of the first map; the level stays, in deviations, where the map has it.
  fitted() {
    const { box, step, ofBox, mean, deviation, level, low, high } = this.first;
    const [least, most] = [low, high].map((one) => (one - mean) / deviation);
    this.scene.reach = (box * step) / 2;
    Object.assign(this.of("#level"), { min: Math.min(0, least).toFixed(2), max: most.toFixed(2) });
    if (this.sigma === null || this.sigma >= most || this.sigma <= least) this.sigma = (level - mean) / deviation;
    const drawn = box === ofBox ? `${box} voxels of ${step.toFixed(3)} Å` : `${box} of its ${ofBox} voxels along an edge`;
    this.of("#drawn").textContent = `Drawn with ${drawn}. Mean ${number(mean)}, σ ${number(deviation)}.`;
  }

  async read(where, smooth) {
    if (this.about.has(where)) return;
    const answer = await fetch(`${where}?smooth=${smooth}`);
    if (!answer.ok) throw new Error(`${decodeURI(where.split("/").at(-1))} cannot be read as a map.`);
    const about = JSON.parse(answer.headers.get("x-volume"));
    const codes = new Uint16Array(await answer.arrayBuffer());
    const scale = (about.high - about.low) / 65535;
    const values = Float32Array.from(codes, (code) => about.low + code * scale);
    this.worker.postMessage({ name: where, volume: { values, box: about.box, step: about.step } }, [values.buffer]);
    this.about.set(where, about);
  }

  levelled(sigma) {
    if (!this.first || !Number.isFinite(sigma)) return;
    this.sigma = sigma;
    const { mean, deviation } = this.first;
    this.of("#level").value = sigma;
    this.of("#sigma").value = sigma.toFixed(2);
    this.of("#density").value = number(mean + sigma * deviation);
    this.refresh();
  }

  // Asks for the surfaces that are to be seen, and takes away the others.
  refresh() {
    this.root.dataset.state = "working";
    const shown = this.root.querySelector("[name=shown]:checked").value;
    const places = {
      first: shown === "second" ? "" : this.of("#first").value,
      second: shown === "first" ? "" : this.of("#second").value,
      mask: this.of("#mask").value,
    };
    const commands = [];
    for (const [key, name] of Object.entries(places)) {
      const about = this.about.get(name);
      if (!about) {
        this.waiting.delete(key);
        this.gone.add(key);
        this.scene.show(key, null);
        continue;
      }
      this.gone.delete(key);
      const level = key === "mask" ? 0.5 : about.mean + this.sigma * about.deviation;
      if (key !== "mask") commands.push(`volume #${commands.length + 1} level ${number(level)}`);
      this.ask({ key, name, level, colour: key === "mask" ? "" : this.of("#colour").value });
    }
    this.of("#chimerax").textContent = commands.join("; ");
    this.settle();
  }

  ask(wanted) {
    if (this.underWay.has(wanted.key)) {
      this.waiting.set(wanted.key, wanted);
      return;
    }
    this.underWay.add(wanted.key);
    this.worker.postMessage(wanted);
  }

  made({ key, mesh }) {
    this.underWay.delete(key);
    if (!this.gone.has(key)) {
      if (mesh.colours && (key === "first" || this.gone.has("first"))) this.scaled(mesh.colours);
      this.scene.show(key, mesh, this.looks[key]);
    }
    this.of(".colour-legend").hidden = !this.of("#colour").value;
    const next = this.waiting.get(key);
    this.waiting.delete(key);
    if (next) this.ask(next);
    else this.settle();
  }

  settle() {
    if (this.underWay.size) return;
    this.root.dataset.triangles = [...this.scene.meshes.values()].reduce((sum, { count }) => sum + count / 3, 0);
    this.scene.draw();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (!this.underWay.size && this.root.dataset.state === "working") this.root.dataset.state = "ready";
    }));
  }

  // The range of the colours: what 96 in 100 places of the surface have.
  scaled(values) {
    if (!values.length) return;
    const sorted = Float32Array.from(values).sort(), at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    const range = this.scene.range = [at(0.02), Math.max(at(0.98), at(0.02) + 0.1)];
    const legend = this.of(".colour-legend"), colours = JSON.parse(this.root.dataset.colours);
    legend.innerHTML = "<span></span><i></i><span></span>";
    legend.firstElementChild.textContent = `${range[0].toFixed(1)} Å`;
    legend.lastElementChild.textContent = `${range[1].toFixed(1)} Å`;
    legend.querySelector("i").style.background = `linear-gradient(90deg, ${colours.join(", ")})`;
  }

  say(text) {
    this.of(".said").textContent = text;
    this.of(".said").hidden = !text;
  }
}

// A colour as the scene has them, from 0 to 1.
function light(colour) {
  return channels(colour).map((one) => one / 255);
}

function number(value) {
  return String(Number(value.toPrecision(4)));
}

const root = document.getElementById("viewer");
if (root) {
  try {
    new Viewer(root);
  } catch (error) {
    root.querySelector(".said").textContent = error.message;
  }
}
