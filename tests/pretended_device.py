"""An accelerator for tests: the CUDA device where there is one, else one that is not there.

Arrays of the pretended device may not meet those of the CPU, nor NumPy, but it is the CPU that does the work: what would fail on
a GPU because arrays of two devices meet, fails here too. The project's own operators run their CUDA kernels in Triton's interpreter.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

__all__ = ["DEVICE"]

if torch.cuda.is_available():
    DEVICE = torch.device("cuda")
else:
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it once, when the first test or PyTorch itself imports it
    _setup_privateuseone_for_python_backend("pretended")
    DEVICE = torch.device("pretended", 0)

_CUDA_KERNELS = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
_aten = torch.ops.aten
_EAGER = {_aten._conj.default: _aten._conj_physical.default, _aten._neg_view.default: _aten.neg.default}
"""Lazy operations, whose flags PyTorch no longer sees once the arrays are unwrapped."""
_INDEXING = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")


class _Away(Tensor):
    """An array of the device; ``inner`` is the CPU's array that holds its values."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> _Away:
        self: _Away = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype, device=DEVICE
        )
        self.inner = inner
        return self

    def tolist(self) -> Any:
        return self.inner.tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"pretended({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func = _EAGER.get(func, func)
        away = _result_is_away(func, args, kwargs or {})
        known = {id(leaf.inner): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, _Away)}
        plain, options = tree_map_only(_Away, lambda one: one.inner, (args, dict(kwargs or {})))
        if "device" in options:
            options["device"] = torch.device("cpu")
        result = func.redispatch(_CUDA_KERNELS, *plain, **options) if func.namespace == "tomobayes" else func(*plain, **options)
        return tree_map_only(Tensor, lambda one: known[id(one)] if id(one) in known else _Away(one), result) if away else result


def _result_is_away(func: Any, args: Any, kwargs: Any) -> bool:
    """Where the result lives. Arrays of two devices do not meet, but for copies, numbers on the CPU and indices on the CPU."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"]) == DEVICE
    if func is _aten._local_scalar_dense.default:
        return False
    if func.name().startswith("aten::copy_"):
        return isinstance(args[0], _Away)
    strict = [args[0], *args[2:]] if func._schema.name in _INDEXING and isinstance(args[0], _Away) else [args, kwargs]
    strangers = [one for one in tree_leaves(strict) if isinstance(one, Tensor) and not isinstance(one, _Away) and one.dim()]
    if strangers:
        raise RuntimeError(f"{func}: arrays of two devices meet")
    return True


@torch.library.impl("aten::empty.memory_format", "privateuseone")
def _empty(
    size: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None, memory_format: Any = None
) -> Tensor:
    return _Away(torch.empty(size, dtype=dtype, memory_format=memory_format))


@torch.library.impl("aten::empty_strided", "privateuseone")
def _empty_strided(size: Any, stride: Any, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None) -> Tensor:
    return _Away(torch.empty_strided(size, stride, dtype=dtype))


@torch.library.impl("aten::_copy_from", "privateuseone")
def _copy_from(source: Tensor, target: Any, non_blocking: bool = False) -> Tensor:
    target.inner.copy_(source)
    return target
