"""The choice of the device."""

from __future__ import annotations

import pytest

from tomobayes.compute import device


@pytest.mark.parametrize(("cuda", "triton", "chosen"), [(True, True, "cuda"), (True, False, "cpu"), (False, True, "cpu")])
def test_cuda_is_used_where_pytorch_and_triton_can(monkeypatch, cuda, triton, chosen):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr(device, "find_spec", lambda name: object() if triton else None)
    assert device.best_device().type == chosen
