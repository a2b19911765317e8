// The surface of a density at a level, by surface nets (Gibson 1998): a vertex in every cell of eight voxels that the surface goes
// through, in the mean of where it crosses the cell's edges; a quadrilateral around every edge that it crosses.

const CORNERS = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]];
const EDGES = CORNERS.flatMap((corner, from) => [0, 1, 2].filter((axis) => !corner[axis]).map((axis) => [from, from | (1 << axis)]));

// A volume: `values` (z, y, x) on `box`³ voxels whose centre is voxel floor(box / 2), `step` Å apart.
//
// Gives positions and normals (Å from the centre, three numbers for each vertex), triangles (three vertices each).
export function surfaceOf({ values, box, step }, level) {
  const cells = crossedCells(values, box, level);
  const positions = new Float32Array(3 * cells.length);
  const normals = new Float32Array(3 * cells.length);
  const vertexOf = new Int32Array(box ** 3).fill(-1);
  const at = CORNERS.map(([x, y, z]) => x + box * (y + box * z));
  for (let vertex = 0; vertex < cells.length; vertex++) {
    const cell = cells[vertex];
    vertexOf[cell] = vertex;
    let count = 0, x = 0, y = 0, z = 0;
    for (const [from, to] of EDGES) {
      const a = values[cell + at[from]] - level, b = values[cell + at[to]] - level;
      if ((a > 0) === (b > 0)) continue;
      const share = a / (a - b), start = CORNERS[from], end = CORNERS[to];
      x += start[0] + share * (end[0] - start[0]);
      y += start[1] + share * (end[1] - start[1]);
      z += start[2] + share * (end[2] - start[2]);
      count++;
    }
    x = x / count + (cell % box);
    y = y / count + (Math.floor(cell / box) % box);
    z = z / count + Math.floor(cell / box ** 2);
    positions[3 * vertex] = x;
    positions[3 * vertex + 1] = y;
    positions[3 * vertex + 2] = z;
    downhill(values, box, x, y, z, normals, 3 * vertex);
  }
  const triangles = trianglesOf(values, box, level, cells, vertexOf);
  const middle = Math.floor(box / 2);
  for (let i = 0; i < positions.length; i++) positions[i] = (positions[i] - middle) * step;
  return { positions, normals, triangles };
}

// Values of a volume at places in Å, three numbers each, between its voxels.
export function sampled({ values, box, step }, positions) {
  const found = new Float32Array(positions.length / 3), middle = Math.floor(box / 2);
  for (let i = 0; i < found.length; i++) {
    const at = 3 * i;
    found[i] = between(values, box, positions[at] / step + middle, positions[at + 1] / step + middle, positions[at + 2] / step + middle);
  }
  return found;
}

// Indices of the first corners of cells whose corners lie on both sides.
function crossedCells(values, box, level) {
  const cells = [], row = box, sheet = box * box;
  for (let z = 0; z < box - 1; z++) {
    for (let y = 0; y < box - 1; y++) {
      let cell = y * row + z * sheet;
      let before = column(values, cell, row, sheet, level);
      for (let x = 0; x < box - 1; x++, cell++) {
        const after = column(values, cell + 1, row, sheet, level);
        if ((before || after) && before + after !== 8) cells.push(cell);
        before = after;
      }
    }
  }
  return cells;
}

// How many of the four voxels of a cell's face are dense.
function column(values, at, row, sheet, level) {
  return (values[at] > level) + (values[at + row] > level) + (values[at + sheet] > level) + (values[at + row + sheet] > level);
}

// Two triangles around every crossed edge from a cell's first corner; seen from outside they go counter-clockwise.
function trianglesOf(values, box, level, cells, vertexOf) {
  const found = [], steps = [1, box, box * box];
  for (const cell of cells) {
    const inside = values[cell] > level;
    const place = [cell % box, Math.floor(cell / box) % box, Math.floor(cell / box ** 2)];
    for (let axis = 0; axis < 3; axis++) {
      const u = (axis + 1) % 3, v = (axis + 2) % 3;
      if (!place[u] || !place[v] || (values[cell + steps[axis]] > level) === inside) continue;
      const a = vertexOf[cell], b = vertexOf[cell - steps[u]], c = vertexOf[cell - steps[u] - steps[v]], d = vertexOf[cell - steps[v]];
      if (inside) found.push(a, b, c, a, c, d);
      else found.push(a, c, b, a, d, c);
    }
  }
  return new Uint32Array(found);
}

// Puts the direction in which the density falls, from one voxel to either side, into three places of an array.
function downhill(values, box, x, y, z, into, at) {
  const u = between(values, box, x - 1, y, z) - between(values, box, x + 1, y, z);
  const v = between(values, box, x, y - 1, z) - between(values, box, x, y + 1, z);
  const w = between(values, box, x, y, z - 1) - between(values, box, x, y, z + 1);
  const length = Math.sqrt(u * u + v * v + w * w) || 1;
  into[at] = u / length;
  into[at + 1] = v / length;
  into[at + 2] = w / length;
}

// The value at a place in voxels, from the eight around it; places outside have that of the nearest inside.
function between(values, box, x, y, z) {
  const last = box - 1.0001;
  x = Math.min(Math.max(x, 0), last); y = Math.min(Math.max(y, 0), last); z = Math.min(Math.max(z, 0), last);
  const i = Math.floor(x), j = Math.floor(y), k = Math.floor(z);
  const u = x - i, v = y - j, w = z - k, row = box, sheet = box * box, at = i + j * row + k * sheet;
  const low = (values[at] * (1 - u) + values[at + 1] * u) * (1 - v) + (values[at + row] * (1 - u) + values[at + row + 1] * u) * v;
  const up = at + sheet;
  const high = (values[up] * (1 - u) + values[up + 1] * u) * (1 - v) + (values[up + row] * (1 - u) + values[up + row + 1] * u) * v;
  return low * (1 - w) + high * w;
}
