"""A device changes where an iteration runs, not what it finds."""

from __future__ import annotations

import pytest
import torch

import pretended_device
from small_experiment import phantom
from tomobayes.inference import initial, iteration, reconstruction
from tomobayes.inference.refinement import initial_state, iterate
from tomobayes.inference.state import State

CPU_KERNELS = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)


def _iterated(experiment) -> State:
    """From a reference of another grey scale, so that all tasks of a refinement have their turn."""
    reference, parts = torch.from_numpy(phantom(sigma=6.0).data) / 7, experiment.parts(2)
    start = initial_state(experiment.given, parts, experiment.gather, experiment.settings, (reference, reference))
    return iterate(experiment.given, parts, experiment.gather, start, experiment.settings)


def test_an_iteration_on_a_device_is_that_on_the_cpu(experiment, monkeypatch):
    """A pretended device has the kernels of the CPU here: those of CUDA are compared elsewhere, and interpreting them takes minutes."""
    expected = _iterated(experiment)
    monkeypatch.setattr(pretended_device, "_CUDA_KERNELS", CPU_KERNELS)
    for module in (initial, iteration, reconstruction):
        monkeypatch.setattr(module, "best_device", lambda: pretended_device.DEVICE)
    found = _iterated(experiment)
    assert found.half_maps[0].device.type == "cpu"
    assert (found.half_maps[0] - expected.half_maps[0]).abs().max() < 1e-4 * expected.half_maps[0].abs().max()
    assert found.history[0].log_evidence == pytest.approx(expected.history[0].log_evidence, rel=1e-5)
    torch.testing.assert_close(found.rotation, expected.rotation, atol=1e-4, rtol=0)
