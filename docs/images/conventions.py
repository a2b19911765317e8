"""Draws the figures of docs/conventions.md from the conventions themselves: ``python docs/images/conventions.py``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

INK, BLUE, RED, GREEN, PALE = "#333", "#2166ac", "#b2182b", "#1b7837", "#cbd5e1"
AXES = {"x": RED, "y": GREEN, "z": BLUE}
Float = NDArray[np.float64]


def line(
    start: Iterable[float], end: Iterable[float], colour: str = INK, *, arrow: bool = False, dash: bool = False, width: float = 1.6
) -> str:
    (x1, y1), (x2, y2) = start, end
    ends = f' marker-end="url(#{colour[1:]})"' if arrow else ""
    dashes = ' stroke-dasharray="4 3"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{ends}{dashes}/>'


def text(x: float, y: float, words: str, colour: str = INK, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}">{words}</text>'


def dot(x: float, y: float, colour: str = INK, radius: float = 4) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def write(name: str, width: int, height: int, parts: Iterable[str]) -> None:
    heads = "".join(
        f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
        for colour in (INK, BLUE, RED, GREEN)
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    body = "\n".join(parts)
    ground = f'<rect width="{width}" height="{height}" fill="white"/>'
    (Path(__file__).parent / f"{name}.svg").write_text(f"{head}<defs>{heads}</defs>{ground}\n{body}\n</svg>\n", encoding="utf-8")


def centre() -> None:
    """Pixels of an even and an odd edge, and the one in which the centre is."""
    parts = []
    for row, n in enumerate((6, 5)):
        top = 30 + 75 * row
        for index in range(n):
            x, middle = 90 + 40 * index, index == n // 2
            fill = "#fde68a" if middle else "white"
            parts.append(f'<rect x="{x}" y="{top}" width="40" height="34" fill="{fill}" stroke="{INK}"/>')
            parts.append(text(x + 20, top + 22, str(index), RED if middle else INK))
        parts += [dot(110 + 40 * (n // 2), top + 27, RED, 2.5), text(45, top + 22, f"n = {n}")]
        parts.append(text(110 + 40 * (n // 2), top + 50, f"centre: n//2 = {n // 2}", RED))
    write("convention_centre", 360, 165, parts)


def _seen(point: Float) -> Float:
    """Oblique view of a point: x to the right, z up, y backwards."""
    return np.array([point[0] + 0.42 * point[1], -point[2] - 0.32 * point[1]])


def _turn(axis: str, degrees: float) -> Float:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    if axis == "z":
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def euler() -> None:
    """The axes of a reference after each of three turns about the fixed axes of the tomogram, for rot 40, tilt 50, psi 30."""
    turns = (("", 0.0, "reference"), ("z", -40.0, "Rz(−rot)"), ("y", -50.0, "Ry(−tilt)·…"), ("z", -30.0, "A = Rz(−psi)·…"))
    parts, rotation = [], np.eye(3)
    for step, (axis, degrees, name) in enumerate(turns):
        rotation = _turn(axis, degrees) @ rotation if axis else rotation
        middle = np.array([80.0 + 135 * step, 105.0])
        for fixed in np.eye(3):
            parts.append(line(middle, middle + 55 * _seen(fixed), PALE, dash=True))
        for label, own in zip("xyz", rotation.T, strict=True):
            end = middle + 55 * _seen(own)
            parts += [line(middle, end, AXES[label], arrow=True, width=2.2), text(*(middle + 68 * _seen(own) + [0, 4]), label, AXES[label])]
        parts.append(text(middle[0], 195, name))
    write("convention_euler", 565, 205, parts)


def tilt() -> None:
    """A slab seen along y, untilted and at YTilt = +30°, projected along z."""
    parts = []
    for panel, degrees in enumerate((0.0, 30.0)):
        middle, turn = np.array([120.0 + 240 * panel, 95.0]), _turn("y", degrees)
        for z in (-16, 16):
            ends = [middle + (turn @ [x, 0, z])[[0, 2]] * [1, -1] for x in (-75, 75)]
            parts.append(line(*ends, INK))
        particle = turn @ np.array([55.0, 0, 0])
        place = middle + particle[[0, 2]] * [1, -1]
        parts += [dot(*place, BLUE), line(place, (place[0], 168), BLUE, dash=True), dot(place[0], 172, BLUE)]
        parts += [line((middle[0] - 90, 172), (middle[0] + 90, 172)), text(middle[0] + 98, 176, "x", anchor="start")]
        parts.append(text(middle[0], 20, f"YTilt = {degrees:.0f}°"))
        parts += [line((middle[0] - 95, 120), (middle[0] - 95, 60), INK, arrow=True), text(middle[0] - 95, 52, "z")]
        parts.append(text(place[0], 192, "z = −x·sin(YTilt)" if degrees else "z = 0", BLUE))
    write("convention_tilt", 480, 200, parts)


def hand() -> None:
    """Underfocus of two particles at different heights under both hands."""
    parts = []
    for panel, sign in enumerate((1, -1)):
        x = 130 + 240 * panel
        parts += [line((x - 100, 150), (x - 100, 30), INK, arrow=True), text(x - 100, 22, "projected z")]
        parts += [line((x - 60, 90), (x + 90, 90), PALE, dash=True), text(x + 92, 84, "tomogram's centre", anchor="end", size=10)]
        for height, colour in ((40, BLUE), (-40, RED)):
            length = 60 + sign * 0.6 * height
            parts += [
                dot(x - 40, 90 - height, colour),
                line((x - 30, 90 - height), (x - 30 + length, 90 - height), colour, arrow=True, width=2.4),
            ]
        parts.append(text(x, 172, f"rlnTomoHand {sign:+d}".replace("-", "−")))
    parts.append(text(240, 192, "arrows: underfocus of a particle", size=11))
    write("convention_hand", 480, 200, parts)


def origins() -> None:
    """From the extraction point to the particle's centre, and on with the motion."""
    point, centre_, moved = (90.0, 120.0), (230.0, 70.0), (300.0, 95.0)
    parts = [dot(*point), text(point[0], 145, "extraction point", anchor="middle"), text(point[0], 160, "(coordinate)", size=10)]
    parts += [dot(*centre_, BLUE), text(centre_[0], 52, "centre of the particle", BLUE)]
    parts += [line(point, (centre_[0] - 5, centre_[1] + 2), BLUE, arrow=True), text(140, 82, "− A_sub·origin", BLUE, "end")]
    parts += [
        dot(*moved, RED),
        line(centre_, (moved[0] - 5, moved[1] - 2), RED, arrow=True),
        text(310, 99, "where tilt f saw it", RED, "start"),
    ]
    parts.append(text(262, 105, "+ motion", RED, "end"))
    write("convention_origins", 440, 170, parts)


if __name__ == "__main__":
    for draw in (centre, euler, tilt, hand, origins):
        draw()
