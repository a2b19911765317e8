// Makes surfaces beside the page, so that it never waits for them. It keeps the volumes it was given, by name.

import { sampled, surfaceOf } from "./surface.js";

const volumes = new Map();

self.onmessage = ({ data: { name, volume, key, level, colour } }) => {
  if (volume) {
    volumes.set(name, volume);
    return;
  }
  const mesh = surfaceOf(volumes.get(name), level);
  mesh.colours = colour ? sampled(volumes.get(colour), mesh.positions) : null;
  const buffers = [mesh.positions, mesh.normals, mesh.triangles, mesh.colours].filter(Boolean).map((one) => one.buffer);
  self.postMessage({ key, mesh }, buffers);
};
