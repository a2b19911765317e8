// Steps through the images of a tilt series. The table of tilts is the list of what there is; circles are drawn in pixels of the image.

const form = document.getElementById("series");
const table = document.getElementById("tilts");
const image = document.getElementById("image");
const picture = document.getElementById("picture");
const circles = document.getElementById("particles");
const slider = document.getElementById("step");
const about = document.getElementById("particle");
const silent = about.textContent;
const svg = "http://www.w3.org/2000/svg";

let rows = [];
let at = 0;
let asked = 0;
const known = new Map();

const address = (base, tilt, fields) => {
  const query = new URLSearchParams({ series: form.series.value, tilt, v: form.dataset.version });
  for (const field of fields) query.set(field, form[field].value || "0");
  return `${base}?${query}`;
};
const shownAs = (row) => new URLSearchParams({
  series: form.series.value, tilt: row.dataset.tilt, lowpass: form.lowpass.value || "0", diameter: form.diameter.value, percent: form.percent.value,
});
const pictureOf = (row) => address(form.dataset.picture, row.dataset.tilt, ["lowpass", "percent"]);
const placesOf = (row) => address(form.dataset.places, row.dataset.tilt, ["diameter"]);

// One promise per address, so that what was fetched ahead is there when it is stepped to; the oldest are forgotten.
const remembered = (key, make) => {
  if (!known.has(key)) {
    known.set(key, make().catch((error) => { known.delete(key); throw error; }));
    if (known.size > 60) known.delete(known.keys().next().value);
  }
  return known.get(key);
};
const loaded = (row) => picture ? remembered(pictureOf(row), async () => {
  const ahead = new Image();
  ahead.src = pictureOf(row);
  await ahead.decode();
  return ahead.src;
}) : Promise.resolve("");
const told = (row) => remembered(placesOf(row), async () => {
  const answer = await fetch(placesOf(row));
  if (!answer.ok) throw new Error(`no places: ${answer.status}`);
  return answer.json();
});

const draw = (found) => {
  if (!image || !found.x) return;
  const height = image.viewBox.baseVal.height;
  const radius = Number(form.diameter.value) / 2 / Number(image.dataset.pixel);
  circles.replaceChildren(...found.number.map((number, place) => {
    const circle = document.createElementNS(svg, "circle");
    // The middle of the first pixel is (0, 0) for the program and (0.5, 0.5) here, and y goes up there and down here.
    circle.setAttribute("cx", found.x[place] + 0.5);
    circle.setAttribute("cy", height - found.y[place] - 0.5);
    circle.setAttribute("r", radius);
    circle.dataset.particle = number;
    circle.dataset.about = `Particle ${number} (${found.name[place]}): underfocus ${found.defocus[place].toFixed(3)} µm here, at x ${found.x[place].toFixed(1)}, y ${found.y[place].toFixed(1)}`
      + (found.visible[place] ? "" : "; not used from this image");
    if (!found.visible[place]) circle.classList.add("outside");
    return circle;
  }));
};

const show = async (place) => {
  at = Math.max(0, Math.min(rows.length - 1, place));
  const row = rows[at];
  const mine = ++asked;
  slider.value = at;
  for (const other of rows) other.toggleAttribute("aria-current", other === row);
  document.getElementById("told-angle").textContent = `${row.dataset.angle}°`;
  document.getElementById("told-rank").textContent = `${row.dataset.rank} of ${rows.length}`;
  document.getElementById("told-dose").textContent = `${row.dataset.dose} e/Å²`;
  document.getElementById("told-defocus").textContent = `${row.dataset.defocus} µm`;
  document.getElementById("told-seen").textContent = row.dataset.seen;
  try {
    const [source, found] = await Promise.all([loaded(row), told(row)]);
    if (mine !== asked) return;
    if (picture) picture.setAttribute("href", source);
    draw(found);
    table.dataset.shown = row.dataset.tilt;
    history.replaceState(null, "", `?${shownAs(row)}`);
    for (const next of [at + 1, at - 1]) if (rows[next]) { loaded(rows[next]).catch(() => {}); told(rows[next]).catch(() => {}); }
  } catch (error) {
    if (mine === asked) about.textContent = `This image cannot be shown (${error.message}).`;
  }
};

const order = () => {
  const opened = rows.length ? rows[at].dataset.tilt : table.dataset.opened;
  const key = form.order.value;
  rows = [...table.tBodies[0].rows].sort((one, two) => one.dataset[key] - two.dataset[key]);
  table.tBodies[0].append(...rows);
  show(rows.findIndex((row) => row.dataset.tilt === opened));
};

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", (event) => {
  const name = event.target.name;
  if (name === "series") form.submit();
  else if (name === "order") order();
  else if (event.target.id === "show") circles.classList.toggle("hidden", !event.target.checked);
  else if (name && form.reportValidity()) {
    if (name === "diameter") location.search = shownAs(rows[at]);  // the table counts anew who is seen
    else show(at);
  }
});
slider.addEventListener("input", () => show(Number(slider.value)));
document.getElementById("back").addEventListener("click", () => show(at - 1));
document.getElementById("on").addEventListener("click", () => show(at + 1));
table.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-tilt]");
  if (row) show(rows.indexOf(row));
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const places = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: rows.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  show(places[event.key]);
});
circles?.addEventListener("pointerover", (event) => {
  const chosen = event.target.dataset.about;
  about.textContent = chosen ?? silent;
  about.classList.toggle("chosen", Boolean(chosen));
});
order();
