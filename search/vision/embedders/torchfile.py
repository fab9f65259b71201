"""The tensors in a file that `torch.save` wrote before PyTorch 1.6, read without torch.

Such a file is five pickles (a magic number, a protocol number, facts about the machine, the state dict, the
keys of the storages) and then each storage: its number of elements as an int64, and its elements. A tensor is
a view: a storage with an offset, a shape and strides.

Unpickling can run any code, so the unpickler here admits only the names that a state dict of tensors needs.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from search.exceptions import EmbedderError

# torch.serialization.MAGIC_NUMBER and PROTOCOL_VERSION.
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001

DTYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("<i1"),
    "ByteStorage": np.dtype("<u1"),
    "BoolStorage": np.dtype("?"),
}

Tensors = dict[str, NDArray[Any]]


class TorchFileError(EmbedderError):
    """The file is not a state dict of tensors in torch's legacy format, or it is damaged."""

    permanent = True


def load(path: Path) -> Tensors:
    """Read the state dict at `path`: name -> C-contiguous array of the tensor's own dtype and shape.

    Raises TorchFileError for anything else than a whole legacy file of dense tensors on the processor, and
    OSError where the file cannot be read.
    """
    content = path.read_bytes()
    try:
        return _read(io.BytesIO(content))
    except Exception as error:
        # Unpickling damaged data may raise nearly anything; pickle's documentation promises no list.
        reason = error if isinstance(error, TorchFileError) else f"it is not a whole legacy PyTorch file ({error})"
        raise TorchFileError(f"{path.name} cannot be used as model weights: {reason}.") from error


@dataclass(frozen=True, slots=True)
class _Storage:
    """A flat run of elements; its bytes come at the end of the file, after everything that refers to it."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor before its storage was read: offset, shape and strides count elements, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, elements: NDArray[Any]) -> NDArray[Any]:
        """Cut the tensor out of its storage's elements, as a copy in C order."""
        numbers = (self.offset, *self.shape, *self.strides)
        if len(self.shape) != len(self.strides) or not all(type(n) is int and n >= 0 for n in numbers):
            raise TorchFileError("the offset, shape or strides of a tensor are not sizes")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape or last >= elements.size or math.prod(self.shape) > elements.size:
            raise TorchFileError("a tensor is empty or reaches beyond its storage")
        strides = tuple(step * elements.itemsize for step in self.strides)
        return as_strided(elements[self.offset :], self.shape, strides, writeable=False).copy(order="C")


class _Unpickler(pickle.Unpickler):
    """Admits OrderedDict, the rebuilding of a tensor and the names of storages; refuses the rest."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return _rebuild
            case "torch", storage if storage in DTYPES:
                return DTYPES[storage]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no file of weights needs")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, location, count, view = pid
        if kind != "storage" or location != "cpu" or view is not None:
            raise pickle.UnpicklingError("it refers to something else than a storage on the processor")
        return _Storage(str(key), np.dtype(dtype), int(count))


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _View:
    # The rest (requires_grad, backward hooks) matters to training only.
    return _View(storage, offset, tuple(shape), tuple(strides))


def _read(file: BinaryIO) -> Tensors:
    magic, protocol, machine, views, keys = (_Unpickler(file).load() for _ in range(5))
    if (magic, protocol) != (MAGIC, PROTOCOL):
        raise TorchFileError("it is not in the legacy PyTorch format")
    if not machine["little_endian"]:
        raise TorchFileError("it was written on a big-endian machine")
    if not isinstance(views, dict) or not all(isinstance(view, _View) for view in views.values()):
        raise TorchFileError("it holds something else than named tensors; save the model's state_dict()")
    storages = {view.storage.key: view.storage for view in views.values()}
    elements = {key: _elements(file, storages[key]) for key in keys}
    return {name: view.of(elements[view.storage.key]) for name, view in views.items()}


def _elements(file: BinaryIO, storage: _Storage) -> NDArray[Any]:
    size = 8 + storage.count * storage.dtype.itemsize
    data = file.read(size)
    if len(data) < size:
        raise TorchFileError("it is cut short; install its package again")
    if int.from_bytes(data[:8], "little") != storage.count:
        raise TorchFileError("a storage is not as long as its tensors say")
    return np.frombuffer(data, storage.dtype, offset=8)
