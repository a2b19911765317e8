"""Cross-correlation tables against the sum over frequencies that they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from alignment_scene import DIAMETER, references_of, true_dataset, with_images

from small_experiment import phantom
from tomobayes.tiltseries.boxes import Cutter
from tomobayes.tiltseries.comparison import calibrate, compare, cut_for
from tomobayes.tiltseries.tables import common_peak, joined_tables, look_up, some_of, table_step, tables

REACH = 14.0


@pytest.fixture(scope="module")
def made():
    """One comparison with noise, its weighted prediction and its tables."""
    dataset = with_images(true_dataset(2, 30.0), sigma=1.0)
    references = references_of(phantom(sigma=6.0), 4)
    rows = np.arange(4)
    one = compare(Cutter(dataset), rows, references, cut_for(dataset, rows, references, DIAMETER, None))
    known = calibrate([one])
    scale, precision = known.amplitude[one.shell].float().expand(one.slices.shape[1:]), known.precision(one.shell)
    prediction = one.predicted * scale
    origin = torch.full((*prediction.shape[:2], 2), 2.0, dtype=torch.float64)
    table = tables(one, scale, precision, table_step(references.finest_frequency), REACH, origin)
    return one, prediction, precision, table


def _places(table, farthest: float) -> torch.Tensor:
    random = torch.Generator().manual_seed(2)
    shape = table.origin_angstrom.shape
    return table.origin_angstrom + farthest * (2 * torch.rand(shape, dtype=torch.float64, generator=random) - 1)


def _direct(made, place: torch.Tensor) -> torch.Tensor:
    one, prediction, precision, table = made
    phase = -2 * math.pi * (place - table.origin_angstrom) @ one.frequency.double().T
    product = (one.image.conj() * prediction * precision).to(torch.complex128)
    return (product * torch.polar(torch.ones_like(phase), phase)).real.sum(-1)


def test_values_are_those_of_the_fourier_sum(made):
    place = _places(made[3], REACH)
    found, expected = look_up(made[3], place)[0], _direct(made, place)
    assert expected.abs().max() > 20
    assert (found - expected).abs().max() < 0.01 * expected.std()
    assert (found - expected).abs().mean() < 0.05


def test_common_peak_is_the_highest_node_of_the_sum(made):
    table = some_of(made[3], np.array([0, 2, 3]))
    chosen = torch.ones(table.coefficients.shape[:2], dtype=torch.float64)
    chosen[1] = 0
    peak, height = common_peak(table, chosen)
    size = table.coefficients.shape[-1]
    nodes = table.step_angstrom * (torch.arange(1, size - 1, dtype=torch.float64) - (size - 1) / 2)
    inside = nodes[nodes.abs() <= table.reach_angstrom]

    def at(shift: torch.Tensor) -> torch.Tensor:
        return (look_up(table, table.origin_angstrom + shift)[0] * chosen).sum(0)

    every = torch.stack([at(torch.stack([x, y])) for x in inside for y in inside])
    torch.testing.assert_close(height, every.max(0).values, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(at(peak), height, rtol=1e-4, atol=1e-3)


def test_gradients_are_those_of_the_values(made):
    table, place = made[3], _places(made[3], REACH - 1)
    for axis in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[axis] = 1e-5
        slope = (look_up(table, place + step)[0] - look_up(table, place - step)[0]) / 2e-5
        torch.testing.assert_close(slope, look_up(table, place)[1][..., axis], rtol=1e-4, atol=1e-4)


def test_beyond_the_table_the_way_leads_back(made):
    """Continuous at the border, with its slope, and then ever steeper towards the table: nothing is forgotten out there."""
    table = made[3]
    border = table.origin_angstrom + torch.tensor([REACH, 0.0], dtype=torch.float64)
    inside, outside = (look_up(table, border + torch.tensor([d, 0.0], dtype=torch.float64)) for d in (-1e-7, 1e-7))
    torch.testing.assert_close(inside[0], outside[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(inside[1], outside[1], atol=1e-4, rtol=1e-5)
    far = border + torch.tensor([60.0, 0.0], dtype=torch.float64)
    assert (look_up(table, far)[1][..., 0] < 0).all()
    assert (look_up(table, far)[0] < look_up(table, border)[0]).all()


def test_information_is_the_expected_curvature(made):
    """Of the prediction with itself: what CC would be without noise."""
    one, prediction, precision, table = made
    wave = 2 * math.pi * one.frequency.double()
    expected = torch.einsum("pfj,ja,jb->pfab", (prediction.abs().square() * precision).double(), wave, wave)
    torch.testing.assert_close(table.information, expected, rtol=1e-4, atol=1e-6)


def test_portions_are_put_together_in_order(made):
    table = made[3]
    both = joined_tables([table, table])
    place = torch.cat([_places(table, 3.0)] * 2)
    torch.testing.assert_close(look_up(both, place)[0], torch.cat([look_up(table, place[:4])[0]] * 2))
