// Very many points over two axes: how many lie on a pixel is its shade, so that a crowd of them does not hide what it holds.

const MARGIN = { left: 86, right: 16, top: 14, bottom: 46 };

export class Scatter {
  constructor(canvas) {
    this.canvas = canvas;
    this.x = this.y = new Float64Array();
    this.marks = new Uint8Array();
    this.labels = ["", ""];
    this.whole();
  }

  set(x, y, labels) {
    Object.assign(this, { x, y, labels, marks: new Uint8Array(x.length) });
    this.whole();
  }

  // Shows all points, with a little room around them.
  whole() {
    this.view = [this.x, this.y].map((values) => {
      let low = Infinity, high = -Infinity;
      for (const value of values) {
        if (value < low) low = value;
        if (value > high) high = value;
      }
      if (!(low <= high)) [low, high] = [0, 1];
      const room = 0.04 * (high - low) || Math.abs(low) * 0.1 || 1;
      return [low - room, high + room];
    });
  }

  // Pixels of the page, from the canvas's corner, to values and back.
  value(left, top) {
    const { width, height } = this.area, [x, y] = this.view;
    return [x[0] + ((left - MARGIN.left) / width) * (x[1] - x[0]), y[1] - ((top - MARGIN.top) / height) * (y[1] - y[0])];
  }

  place(valueX, valueY) {
    const { width, height } = this.area, [x, y] = this.view;
    return [MARGIN.left + ((valueX - x[0]) / (x[1] - x[0])) * width, MARGIN.top + ((y[1] - valueY) / (y[1] - y[0])) * height];
  }

  get area() {
    const { clientWidth, clientHeight } = this.canvas;
    return { width: Math.max(1, clientWidth - MARGIN.left - MARGIN.right), height: Math.max(1, clientHeight - MARGIN.top - MARGIN.bottom) };
  }

  // Enlarges about a place of the page, or moves by pixels of the page.
  enlarge(factor, left, top) {
    const about = this.value(left, top);
    this.view = this.view.map(([low, high], axis) => [about[axis] + (low - about[axis]) / factor, about[axis] + (high - about[axis]) / factor]);
  }

  move(right, down) {
    const { width, height } = this.area, by = [-right / width, down / height];
    this.view = this.view.map(([low, high], axis) => [low + by[axis] * (high - low), high + by[axis] * (high - low)]);
  }

  draw(colours) {
    const ratio = Math.min(devicePixelRatio, 2), { canvas } = this;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = canvas.getContext("2d");
    pen.putImageData(this.cloud(ratio, colours), Math.round(MARGIN.left * ratio), Math.round(MARGIN.top * ratio));
    pen.scale(ratio, ratio);
    this.axes(pen, colours);
  }

  // The points as an image.
  cloud(ratio, { ground, point, marked }) {
    const width = Math.max(1, Math.round(this.area.width * ratio)), height = Math.max(1, Math.round(this.area.height * ratio));
    const [plain, chosen] = this.counted(width, height, ratio);
    const image = new ImageData(width, height), most = Math.log1p(Math.max(1, highest(plain), highest(chosen)));
    for (let at = 0; at < plain.length; at++) {
      const count = plain[at] + chosen[at];
      const strength = count ? 0.4 + 0.6 * (Math.log1p(count) / most) : 0, share = count ? chosen[at] / count : 0;
      for (let channel = 0; channel < 3; channel++) {
        const ink = point[channel] + share * (marked[channel] - point[channel]);
        image.data[4 * at + channel] = ground[channel] + strength * (ink - ground[channel]);
      }
      image.data[4 * at + 3] = 255;
    }
    return image;
  }

  // How many points, unmarked and marked, cover each pixel.
  counted(width, height, ratio) {
    const { x, y, marks } = this, [[left, right], [low, high]] = this.view;
    const size = Math.max(1, Math.round(ratio * (x.length < 1000 ? 5 : x.length < 30000 ? 3 : 2))), half = (size - 1) / 2;
    const found = [new Uint32Array(width * height), new Uint32Array(width * height)];
    const across = width / (right - left), up = height / (high - low);
    for (let i = 0; i < x.length; i++) {
      const column = Math.round((x[i] - left) * across - half), row = Math.round((high - y[i]) * up - half);
      if (!(column >= 0 && row >= 0 && column + size <= width && row + size <= height)) continue;
      const counts = found[marks[i]];
      for (let down = 0; down < size; down++) {
        const start = (row + down) * width + column;
        for (let at = start; at < start + size; at++) counts[at]++;
      }
    }
    return found;
  }

  axes(pen, { ink, quiet, rule }) {
    const { width, height } = this.area, base = MARGIN.top + height;
    pen.font = "13px system-ui, sans-serif";
    pen.strokeStyle = rule;
    pen.strokeRect(MARGIN.left - 0.5, MARGIN.top - 0.5, width + 1, height + 1);
    pen.fillStyle = quiet;
    pen.textAlign = "center";
    for (const value of ticks(...this.view[0], width / 90)) pen.fillText(shown(value), this.place(value, 0)[0], base + 18);
    pen.textAlign = "right";
    for (const value of ticks(...this.view[1], height / 60)) pen.fillText(shown(value), MARGIN.left - 8, this.place(0, value)[1] + 4);
    pen.fillStyle = ink;
    pen.textAlign = "center";
    pen.fillText(this.labels[0], MARGIN.left + width / 2, base + 38);
    pen.translate(14, MARGIN.top + height / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(this.labels[1], 0, 0);
  }
}

function highest(counts) {
  let most = 0;
  for (const count of counts) if (count > most) most = count;
  return most;
}

// Multiples of 1, 2 or 5 times a power of ten, about as many as are asked for.
function ticks(low, high, about) {
  const rough = (high - low) / Math.max(about, 2), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) found.push(index * step);
  return found;
}

function shown(value) {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}
