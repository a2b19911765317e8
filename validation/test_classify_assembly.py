"""Sixteen states of one particle that gathers four parts in any order: which state each particle is in, and what its map looks like."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from class_oracle import told_by_true_maps
from commands import tomobayes
from test_classify_poses import BOX, DIAMETER, PIXEL, ball
from tomobayes.formats.mrc import read_map, write_map
from tomobayes.formats.relion import read_dataset
from tomobayes.heterogeneity.linear_start import subspace_start
from tomobayes.imaging.gathering import Gatherer, Source, portions
from tomobayes.inference.classification.iteration import classify, classify_once, consensus, with_classes
from tomobayes.inference.classification.state import ClassSettings, ClassState
from tomobayes.inference.state import Settings
from tomobayes.maps.fsc import fsc
from tomobayes.maps.masks import sphere_mask
from tomobayes.model import Map

PARTS = [((6, 0, 0), 4.5), ((-6, 2, 0), 4.5), ((0, -6, -3), 4.5), ((0, 3, 6), 4.5)]
"""Centres (x, y, z) and radii, in voxels."""


def rand_index(one: np.ndarray, two: np.ndarray) -> float:
    """Adjusted Rand index of two labellings (Hubert and Arabie 1985)."""
    table = np.zeros((one.max() + 1, two.max() + 1))
    np.add.at(table, (one, two), 1)
    pairs, rows, columns = ((n * (n - 1) / 2).sum() for n in (table, table.sum(1), table.sum(0)))
    expected = rows * columns / (len(one) * (len(one) - 1) / 2)
    return float((pairs - expected) / ((rows + columns) / 2 - expected))


def _states(folder: Path) -> list[Path]:
    """Maps of a 70S ribosome without any, some or all of four parts."""
    words = ["--angpix", PIXEL, "--box", BOX, "--n-series", 1, "--n-particles", 1, "--image-size-px", 100, 100, "--tilt-step", 30]
    tomobayes("simulate", *words, "--o", folder / "one")
    whole, paths = read_map(folder / "one/truth_class1.mrc").data, []
    for number, there in enumerate(itertools.product((True, False), repeat=len(PARTS))):
        kept = np.prod([1 - ball(*part) for part, keep in zip(PARTS, there, strict=True) if not keep] or [np.ones_like(whole)], axis=0)
        paths.append(folder / f"state{number:02d}.mrc")
        write_map(paths[-1], Map((whole * kept).astype(np.float32), PIXEL))
    return paths


def _likeness(state: ClassState, truth: list[np.ndarray], labels: np.ndarray, mask: np.ndarray) -> float:
    """Mean over particles of the area under the FSC of the map of its class with its true map, 1 for equal maps."""
    assert state.maps is not None
    found, told = [one.numpy() * mask for one in state.maps.maps], state.posterior.argmax(1).numpy()
    pairs = {
        (k, true): fsc(found[k], truth[true] * mask)[1 : BOX // 2].mean()
        for k, true in set(zip(told.tolist(), labels.tolist(), strict=True))
    }
    return float(np.mean([pairs[pair] for pair in zip(told.tolist(), labels.tolist(), strict=True)]))


@pytest.mark.long
def test_assembly(tmp_path, claims):
    """320 particles in sixteen states at SNR 0.2, whose maps correlate with the next by 0.98; 21 tilts of ±60°."""
    torch.set_num_threads(1)
    paths, sim = _states(tmp_path), tmp_path / "sim"
    words = ["--angpix", PIXEL, "--n-series", 4, "--n-particles", 80, "--image-size-px", 300, 300, "--snr", 0.2, "--tilt-step", 6]
    tomobayes("simulate", "--model", *paths, *words, "--min-distance", 290, "--data-type", "float32", "--o", sim)
    data, maps = read_dataset(sim, particles=sim / "particles_truth.star"), [read_map(path).data for path in paths]
    data = data.with_particles(replace(data.particles, half=1 + np.arange(len(data.particles)) % 2))
    labels, source, mask = data.particles.class_number - 1, Source("series", BOX, 1.0), sphere_mask(BOX, DIAMETER / PIXEL, 3)
    settings = ClassSettings(Settings(BOX, PIXEL, DIAMETER, np.eye(3)[None], mask, max_iterations=4), len(paths), mask)
    parts, gather = portions(data, np.ones(len(labels), dtype=bool), 64, 2), Gatherer(data, source, BOX // 2 - 1)
    together = consensus(data.particles, parts, gather, settings)
    *_, found = classify(data.particles, parts, gather, subspace_start(parts, gather, together, settings, 0), settings)
    known = with_classes(together, torch.eye(len(paths))[torch.from_numpy(labels)])
    oracle = classify_once(data.particles, parts, gather, known, settings)
    at_best, shuffled = told_by_true_maps(data, source, maps), np.random.default_rng(0).permutation(labels)
    agreement = rand_index(found.posterior.argmax(1).numpy(), labels)
    claims.measured("adjusted Rand index", agreement, at_least=0.6, oracle=rand_index(at_best, labels), null=rand_index(shuffled, labels))
    alike, best = (_likeness(state, maps, labels, mask) for state in (found, oracle))
    mean = np.mean([fsc(together.maps.maps[0].numpy() * mask, one * mask)[1 : BOX // 2].mean() for one in maps])
    claims.measured("area under the FSC of a particle's class and its true map", alike, at_least=best - 0.02, oracle=best, null=float(mean))
