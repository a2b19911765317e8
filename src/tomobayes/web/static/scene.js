// Draws surfaces with WebGL 2, without perspective, so that a bar on the screen is a length: turned, shifted, enlarged, cut open.

const VERTEX = `#version 300 es
in vec3 position;
in vec3 normal;
in float value;
uniform mat3 turn;
uniform vec3 scale;   // Å to half widths and heights of the picture, and to depth from -1 (near) to 1
uniform vec2 shift;
out vec3 facing;
out float depth;
out float share;
uniform vec2 range;
void main() {
  vec3 seen = turn * position;
  depth = -seen.z * scale.z;
  facing = turn * normal;
  share = (value - range.x) / max(range.y - range.x, 1e-9);
  gl_Position = vec4(seen.xy * scale.xy + shift, depth, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 facing;
in float depth;
in float share;
uniform vec3 colour;
uniform float opacity;
uniform float cut;
uniform int count;      // of the scale's colours; 0 for one colour
uniform vec3 colours[16];
uniform vec3 fog;
out vec4 shade;
void main() {
  if (depth < cut) discard;
  vec3 base = colour;
  if (count > 0) {
    float at = clamp(share, 0.0, 1.0) * float(count - 1);
    int low = min(int(at), count - 2);
    base = mix(colours[low], colours[low + 1], at - float(low));
  }
  vec3 up = normalize(facing);
  if (opacity < 1.0) {  // an outline: strongest where one looks along it
    shade = vec4(colour, opacity * (0.3 + 2.0 * pow(1.0 - abs(up.z), 2.0)));
    return;
  }
  if (!gl_FrontFacing) { up = -up; base = mix(base, fog, 0.35) * 0.85; }
  float key = max(dot(up, normalize(vec3(-0.45, 0.62, 0.75))), 0.0);
  float fill = max(dot(up, normalize(vec3(0.7, -0.2, 0.5))), 0.0);
  float shine = pow(max(dot(up, normalize(vec3(-0.22, 0.31, 0.93))), 0.0), 32.0);
  vec3 lit = base * (0.30 + 0.66 * key + 0.18 * fill) + 0.14 * shine;
  shade = vec4(mix(lit, fog, 0.42 * smoothstep(-0.2, 0.6, depth)), 1.0);
}`;

export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error("This browser draws no 3D (WebGL 2 is off).");
    this.program = linked(this.gl, VERTEX, FRAGMENT);
    this.meshes = new Map();
    this.ground = [1, 1, 1];
    this.cut = 0;
    this.reach = 100;
    this.colours = [];
    this.range = [0, 1];
    this.reset();
  }

  // The view from +z, the whole map in the picture.
  reset() {
    this.turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    this.zoom = 1;
    this.shift = [0, 0];
    this.draw();
  }

  // Puts a mesh in place of the one of this name; null takes it away.
  show(name, mesh, look) {
    const before = this.meshes.get(name);
    if (before) discarded(this.gl, before);
    this.meshes.delete(name);
    if (mesh) this.meshes.set(name, { ...loaded(this.gl, this.program, mesh), look });
    this.draw();
  }

  // Turns about axes of the screen, by angles in radians.
  turned(aboutUp, aboutRight) {
    const [c, s, d, t] = [Math.cos(aboutUp), Math.sin(aboutUp), Math.cos(aboutRight), Math.sin(aboutRight)];
    const up = [c, 0, s, 0, 1, 0, -s, 0, c], right = [1, 0, 0, 0, d, -t, 0, t, d];
    this.turn = product(right, product(up, this.turn));
    this.draw();
  }

  // Å for each pixel of the screen.
  get resolution() {
    return (2 * this.reach) / this.zoom / Math.min(this.canvas.clientWidth, this.canvas.clientHeight);
  }

  draw() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      this.drawn();
    });
  }

  drawn() {
    const { gl, canvas, program } = this, ratio = Math.min(devicePixelRatio, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((edge) => Math.max(1, Math.round(edge * ratio)));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    gl.viewport(0, 0, width, height);
    gl.clearColor(...this.ground, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(program);
    const of = (name) => gl.getUniformLocation(program, name);
    const size = this.zoom / this.reach, least = Math.min(width, height);
    gl.uniformMatrix3fv(of("turn"), true, this.turn);
    gl.uniform3f(of("scale"), (size * least) / width, (size * least) / height, 1 / (1.75 * this.reach));
    gl.uniform2f(of("shift"), ...this.shift);
    gl.uniform1f(of("cut"), this.cut ? 2 * this.cut - 1 : -2);
    gl.uniform3f(of("fog"), ...this.ground);
    gl.uniform2f(of("range"), ...this.range);
    if (this.colours.length) gl.uniform3fv(of("colours"), this.colours.flat());
    const solid = [...this.meshes.values()].filter(({ look }) => look.opacity === 1);
    const sheer = [...this.meshes.values()].filter(({ look }) => look.opacity < 1);
    for (const mesh of [...solid, ...sheer]) {
      const { look } = mesh;
      gl[look.opacity < 1 ? "enable" : "disable"](gl.BLEND);
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      gl.depthMask(look.opacity === 1);
      gl.uniform3f(of("colour"), ...look.colour);
      gl.uniform1f(of("opacity"), look.opacity);
      gl.uniform1i(of("count"), mesh.valued ? this.colours.length : 0);
      gl.bindVertexArray(mesh.vertices);
      gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
    }
    gl.depthMask(true);
  }
}

function linked(gl, ...sources) {
  const program = gl.createProgram();
  sources.forEach((source, index) => {
    const shader = gl.createShader(index ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

function loaded(gl, program, { positions, normals, colours, triangles }) {
  const vertices = gl.createVertexArray(), buffers = [];
  gl.bindVertexArray(vertices);
  for (const [name, data, width] of [["position", positions, 3], ["normal", normals, 3], ["value", colours, 1]]) {
    if (!data) continue;
    buffers.push(gl.createBuffer());
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers.at(-1));
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
  }
  buffers.push(gl.createBuffer());
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.at(-1));
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
  gl.bindVertexArray(null);
  return { vertices, buffers, count: triangles.length, valued: Boolean(colours) };
}

function discarded(gl, { vertices, buffers }) {
  gl.deleteVertexArray(vertices);
  buffers.forEach((buffer) => gl.deleteBuffer(buffer));
}

// Of two 3 x 3 matrices, row by row.
function product(a, b) {
  return [0, 1, 2].flatMap((row) => [0, 1, 2].map((column) => [0, 1, 2].reduce((sum, k) => sum + a[3 * row + k] * b[3 * k + column], 0)));
}
