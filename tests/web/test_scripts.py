"""What the scripts of the pages compute, in a real browser, against the same in Python or on paper."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from in_browser import in_browser
from tomobayes.particles.polygons import winding_number

if TYPE_CHECKING:
    from playwright.sync_api import Page

SURFACE = """async ({values, box, step, level}) => {
    const {surfaceOf, sampled} = await import('/static/surface.js');
    const volume = {values: Float32Array.from(values), box, step}, found = surfaceOf(volume, level);
    return {...Object.fromEntries(Object.entries(found).map(([name, one]) => [name, [...one]])), at: [...sampled(volume, found.positions)]};
}"""
INSIDE = "async ({x, y, vertices}) => { const {inside} = await import('/static/polygon.js'); return [...inside(x, y, vertices)]; }"
SIMPLIFIED = "async ({line, off}) => { const {simplified} = await import('/static/polygon.js'); return simplified(line, off); }"


@pytest.fixture
def page(project: Path) -> Iterator[Page]:
    with in_browser(project) as shown:
        yield shown


def test_scripts_compute_what_they_should(page: Page):
    surface_of_an_ellipsoid(page)
    polygons_are_those_of_python(page)
    simplified_lines_stay_close(page)
    theme_is_remembered(page)


def surface_of_an_ellipsoid(page: Page) -> None:
    """Closed, outwards, on the ellipsoid, as large as it is."""
    box, step, half_axes = 28, 2.0, np.array([10.0, 7.0, 8.0])
    z, y, x = np.indices((box, box, box)) - box // 2
    values = 1 - np.sqrt((x / half_axes[0]) ** 2 + (y / half_axes[1]) ** 2 + (z / half_axes[2]) ** 2)
    found = page.evaluate(SURFACE, {"values": values.ravel().tolist(), "box": box, "step": step, "level": 0})
    corners, normals = (np.array(found[name]).reshape(-1, 3) for name in ("positions", "normals"))
    triangles = np.array(found["triangles"]).reshape(-1, 3)
    edges = np.concatenate([triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    assert {tuple(edge) for edge in edges.tolist()} == {tuple(edge) for edge in edges[:, ::-1].tolist()}  # met from both sides
    a, b, c = (corners[triangles[:, at]] for at in range(3))
    volume = np.einsum("ti,ti->t", a, np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(4 / 3 * math.pi * np.prod(half_axes * step), rel=0.04)
    assert np.abs(np.linalg.norm(corners / (half_axes * step), axis=1) - 1).max() < 0.03
    true = corners / half_axes**2
    assert np.einsum("vi,vi->v", normals, true / np.linalg.norm(true, axis=1, keepdims=True)).min() > 0.97
    assert np.abs(found["at"]).max() < 0.03


def polygons_are_those_of_python(page: Page) -> None:
    """Whole numbers, so that many points lie on edges and corners; lines that cross themselves."""
    random = np.random.default_rng(3)
    x, y = random.integers(-8, 9, (2, 500)).astype(float)
    x[0] = math.nan
    for corners in (3, 4, 7, 30):
        vertices = random.integers(-8, 9, (corners, 2)).astype(float)
        marked = page.evaluate(INSIDE, {"x": x.tolist(), "y": y.tolist(), "vertices": vertices.tolist()})
        assert marked == (winding_number(x, y, vertices) != 0).astype(int).tolist()


def simplified_lines_stay_close(page: Page) -> None:
    angle = np.linspace(0, np.pi, 200)
    arc = np.stack([100 * np.cos(angle), 100 * np.sin(angle)], 1)
    kept = np.array(page.evaluate(SIMPLIFIED, {"line": arc.tolist(), "off": 0.5}))
    assert len(kept) < 30 and (kept[[0, -1]] == arc[[0, -1]]).all()
    middles = (kept[1:] + kept[:-1]) / 2
    assert (100 - np.linalg.norm(middles, axis=1)).max() < 0.51


def theme_is_remembered(page: Page) -> None:
    """On other pages and in reports, until it is again what the system has."""
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ground)
    page.click(".theme")
    dark = page.evaluate(ground)
    assert dark != light
    for address in ("/graph", "/files/MaskCreate/job001/report.html"):
        page.goto(address)
        assert page.evaluate(ground) == dark
    page.click(".theme")
    assert page.evaluate(ground) == light
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) == dark
