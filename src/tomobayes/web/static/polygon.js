// Polygons over two columns, as the option --within of `select` has them.

// Which points a closed line goes around, however often: the same sums in the same order as particles/polygons.py, so that what is
// marked here is what is selected there.
export function inside(x, y, vertices) {
  const marks = new Uint8Array(x.length);
  const [left, right, low, high] = bounds(vertices);
  const last = vertices.length, across = Float64Array.from(vertices, (corner) => corner[0]), up = Float64Array.from(vertices, (corner) => corner[1]);
  for (let i = 0; i < x.length; i++) {
    const px = x[i], py = y[i];
    if (!(px >= left && px <= right && py >= low && py <= high)) continue;
    let turns = 0;
    for (let v = 0; v < last; v++) {
      const next = v + 1 === last ? 0 : v + 1, x0 = across[v], y0 = up[v], x1 = across[next], y1 = up[next];
      const side = (x1 - x0) * (py - y0) - (px - x0) * (y1 - y0);
      if (y0 <= py && py < y1 && side > 0) turns++;
      else if (y1 <= py && py < y0 && side < 0) turns--;
    }
    if (turns) marks[i] = 1;
  }
  return marks;
}

// The words of a polygon.
export function written(across, up, vertices) {
  return `${across},${up}: ${vertices.map((corner) => corner.join(",")).join(" ")}`;
}

// A line with as few corners as keep it within a distance of what it was (Douglas and Peucker 1973).
export function simplified(points, distance) {
  if (points.length < 3) return points;
  const [start, end] = [points[0], points.at(-1)];
  let farthest = 0, at = 0;
  for (let i = 1; i < points.length - 1; i++) {
    const away = offLine(points[i], start, end);
    if (away > farthest) [farthest, at] = [away, i];
  }
  if (farthest <= distance) return [start, end];
  return [...simplified(points.slice(0, at + 1), distance), ...simplified(points.slice(at), distance).slice(1)];
}

function offLine([x, y], [x0, y0], [x1, y1]) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length === 0) return Math.hypot(x - x0, y - y0);
  return Math.abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length;
}

function bounds(vertices) {
  const x = vertices.map((corner) => corner[0]), y = vertices.map((corner) => corner[1]);
  return [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
}
