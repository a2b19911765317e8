// Particles of a tomogram as balls with their z axes, turned by hand. Places and axes are in Å, y up, z towards the viewer at first.

const form = document.getElementById("tomogram");
const canvas = document.getElementById("space");
const pen = canvas.getContext("2d");
const about = document.getElementById("particle");
const silent = about.textContent;
const KINDS = ["#6fa8dc", "#e59a63", "#5fc0a4", "#dc86b2", "#ab9fe0", "#c9b64f", "#98a2ab", "#f2877d"];
const SCALE = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const PLANES = {
  xy: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  xz: [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
  yz: [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
};

let found = null;
let turn = PLANES.xy;
let zoom = 1;
let drawn = [];
let waiting = false;
let asked = 0;

const times = (a, b) => a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
const turned = (p) => turn.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
const spun = (across, up) => {
  const [c, s, d, t] = [Math.cos(across), Math.sin(across), Math.cos(up), Math.sin(up)];
  turn = times([[c, 0, s], [0, 1, 0], [-s, 0, c]], times([[1, 0, 0], [0, d, -t], [0, t, d]], turn));
  later();
};

const scaled = (share) => {
  const at = Math.max(0, Math.min(1, share)) * (SCALE.length - 1);
  const low = Math.min(Math.floor(at), SCALE.length - 2);
  return `rgb(${SCALE[low].map((value, i) => Math.round(value + (at - low) * (SCALE[low + 1][i] - value)))})`;
};
const colour = (place) => {
  const value = found.value?.[place];
  if (value === undefined) return KINDS[0];
  if (found.kinds) return KINDS[value % KINDS.length];
  return value === null ? "#666" : scaled((value - found.low) / Math.max(found.high - found.low, 1e-12));
};

const legend = () => {
  const box = document.getElementById("legend");
  box.replaceChildren();
  const swatch = (background, text) => {
    const line = document.createElement("span");
    const patch = document.createElement("i");
    patch.style.background = background;
    line.append(patch, text);
    box.append(line);
  };
  if (found.kinds) found.kinds.forEach((kind, at) => swatch(KINDS[at % KINDS.length], kind));
  else if (found.value) {
    swatch(scaled(0), Number(found.low.toPrecision(3)).toString());
    const bar = document.createElement("b");
    bar.style.background = `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(scaled).join(",")})`;
    box.append(bar);
    swatch(scaled(1), Number(found.high.toPrecision(3)).toString());
  }
};

const draw = () => {
  waiting = false;
  if (!found) return;
  const dense = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * dense)) [canvas.width, canvas.height] = [Math.round(width * dense), Math.round(height * dense)];
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, width, height);
  const corners = cornersOf(found.size).map(turned);
  const reaches = [0, 1, 2].map((axis) => Math.max(...corners.map((corner) => corner[axis])));
  const scale = zoom * 0.46 * Math.min(width / reaches[0], height / reaches[1]);
  const onto = (p) => [width / 2 + scale * p[0], height / 2 - scale * p[1]];
  frame(corners.map(onto));
  const radius = Math.max(1.5, 0.25 * scale * Number(form.diameter.value));
  const reach = 0.75 * Number(form.diameter.value);
  const withAxes = document.getElementById("axes").checked;
  drawn = found.place.map((place, at) => ({ at, place: turned(place) })).sort((one, two) => one.place[2] - two.place[2]);
  for (const one of drawn) {
    [one.x, one.y] = onto(one.place);
    pen.globalAlpha = 0.55 + 0.45 * Math.max(0, Math.min(1, 0.5 + one.place[2] / reaches[2] / 2));
    const axis = turned(found.axis[one.at]);
    const line = () => {
      const [tipX, tipY] = onto(one.place.map((value, i) => value + reach * axis[i]));
      pen.strokeStyle = "#f4f6f8";
      pen.lineWidth = 1.2;
      pen.beginPath();
      pen.moveTo(one.x, one.y);
      pen.lineTo(tipX, tipY);
      pen.stroke();
    };
    if (withAxes && axis[2] < 0) line();
    pen.fillStyle = colour(one.at);
    pen.beginPath();
    pen.arc(one.x, one.y, radius, 0, 2 * Math.PI);
    pen.fill();
    if (withAxes && axis[2] >= 0) line();
  }
  pen.globalAlpha = 1;
  canvas.dataset.drawn = drawn.length;
};

// Corner i of the tomogram is at its far end along axis 0, 1 or 2 where bit 1, 2 or 4 of i is set.
const cornersOf = (size) => [...Array(8).keys()].map((i) => size.map((edge, axis) => (i >> axis & 1 ? 0.5 : -0.5) * edge));
const frame = (corners) => {
  pen.strokeStyle = "#56606a";
  pen.lineWidth = 1;
  pen.beginPath();
  for (let i = 0; i < 8; i++) {
    for (const bit of [1, 2, 4]) {
      if (i & bit) continue;
      pen.moveTo(...corners[i]);
      pen.lineTo(...corners[i | bit]);
    }
  }
  pen.stroke();
};

const later = () => {
  if (!waiting) requestAnimationFrame(draw);
  waiting = true;
};

const load = async () => {
  const query = new URLSearchParams({ series: form.series.value, colour: form.colour.value, v: form.dataset.version });
  const mine = ++asked;
  try {
    const answer = await fetch(`${form.dataset.placed}?${query}`);
    if (!answer.ok) throw new Error(`no particles: ${answer.status}`);
    const told = await answer.json();
    if (mine !== asked) return;
    found = told;
  } catch (error) {
    if (mine === asked) about.textContent = `The particles cannot be shown (${error.message}).`;
    return;
  }
  document.getElementById("count").textContent = found.number.length;
  legend();
  later();
};

const nearest = (x, y) => {
  let best = null;
  let least = 14;
  for (const one of drawn) {
    const away = Math.hypot(one.x - x, one.y - y);
    if (away <= least) [best, least] = [one, away];
  }
  return best;
};

canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
canvas.addEventListener("pointermove", (event) => {
  if (event.buttons) { spun(event.movementX / 150, event.movementY / 150); return; }
  const one = nearest(event.offsetX, event.offsetY);
  about.classList.toggle("chosen", Boolean(one));
  if (!one) { about.textContent = silent; return; }
  const [x, y, z] = found.place[one.at].map((value) => value.toFixed(0));
  const value = found.value ? `; ${form.colour.value} ${found.kinds ? found.kinds[found.value[one.at]] : found.value[one.at]}` : "";
  about.textContent = `Particle ${found.number[one.at]} (${found.name[one.at]}) at ${x}, ${y}, ${z} Å from the centre${value}`;
});
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom = Math.max(0.3, Math.min(20, zoom * Math.exp(-event.deltaY / 600)));
  later();
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
  if (!(event.key in steps)) return;
  event.preventDefault();
  spun(...steps[event.key]);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  if (event.target.name === "series") form.submit();
  else if (event.target.name === "colour") load();
  else later();
});
for (const button of document.querySelectorAll("[data-plane]")) {
  button.addEventListener("click", () => { turn = PLANES[button.dataset.plane]; zoom = 1; later(); });
}
new ResizeObserver(later).observe(canvas);
load();
