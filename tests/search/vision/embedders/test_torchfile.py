from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from search.vision.embedders import torchfile
from search.vision.embedders.torchfile import TorchFileError

MAGIC = 0x1950A86A20F9469CFC6C
MACHINE = {"protocol_version": 1001, "little_endian": True}
STORAGES = {np.dtype("f4"): "FloatStorage", np.dtype("i8"): "LongStorage", np.dtype("f2"): "HalfStorage"}


class Global:
    """Pickles as a reference to `module.name`, whether that can be imported here or not."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Pickles as the result of calling a Global."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Storage:
    def __init__(self, key, elements):
        self.key, self.elements = key, elements


class Pickler(pickle._Pickler):
    """Writes what torch wrote, without torch: names that are only names, and storages by their keys."""

    def persistent_id(self, thing):
        if isinstance(thing, Storage):
            kind = Global("torch", STORAGES[thing.elements.dtype])
            return "storage", kind, thing.key, "cpu", thing.elements.size, None
        return None

    def save(self, thing, save_persistent_id=True):
        if isinstance(thing, Global):
            self.write(b"c" + f"{thing.module}\n{thing.name}\n".encode())
        elif isinstance(thing, Call):
            self.save(thing.function)
            self.save(thing.arguments)
            self.write(b"R")
        else:
            super().save(thing, save_persistent_id)


def tensor(storage, offset, shape, strides):
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, OrderedDict())


def written(state, storages=(), *, magic=MAGIC, machine=MACHINE):
    file = io.BytesIO()
    for thing in (magic, 1001, machine, state, [storage.key for storage in storages]):
        Pickler(file, protocol=2).dump(thing)
    for storage in storages:
        file.write(storage.elements.size.to_bytes(8, "little") + storage.elements.tobytes())
    return file.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("weights") / "weights.pth"


def load(path, content):
    path.write_bytes(content)
    return torchfile.load(path)


def sound():
    storage = Storage("7", np.arange(6, dtype=np.float32))
    return written(OrderedDict(w=tensor(storage, 0, (2, 3), (3, 1))), [storage])


@given(
    array=st.sampled_from([np.float32, np.int64, np.float16]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(max_dims=4, max_side=4))
    ),
    seed=st.randoms(use_true_random=False),
    offset=st.integers(0, 3),
)
def test_a_permuted_tensor_comes_back_as_it_was(path, array, seed, offset):
    order = list(range(array.ndim))
    seed.shuffle(order)
    laid_out = np.ascontiguousarray(array.transpose(order))
    strides = [0] * array.ndim
    for axis, stride in zip(order, laid_out.strides, strict=True):
        strides[axis] = stride // array.itemsize
    elements = np.concatenate([np.zeros(offset, array.dtype), laid_out.ravel()])
    storage = Storage("140", elements)
    tensors = load(path, written({"w": tensor(storage, offset, array.shape, tuple(strides))}, [storage]))
    assert tensors["w"].dtype == array.dtype
    assert tensors["w"].flags.c_contiguous
    np.testing.assert_array_equal(tensors["w"], array)


def test_a_scalar_has_no_axes(path):
    storage = Storage("1", np.array([42], np.int64))
    tensors = load(path, written({"batches": tensor(storage, 0, (), ())}, [storage]))
    assert tensors["batches"].shape == ()
    assert tensors["batches"] == 42


def test_two_tensors_may_share_a_storage(path):
    storage = Storage("1", np.arange(4, dtype=np.float32))
    state = {"a": tensor(storage, 0, (2,), (1,)), "b": tensor(storage, 2, (2,), (1,))}
    tensors = load(path, written(state, [storage]))
    assert tensors["a"].tolist() == [0, 1]
    assert tensors["b"].tolist() == [2, 3]


@pytest.mark.parametrize(
    "forbidden",
    [
        Call(Global("os", "system"), "echo harm > harm"),
        Call(Global("builtins", "eval"), "1 + 1"),
        Call(Global("torch", "load"), "other.pth"),
        Call(Global("torch._utils", "_rebuild_tensor_v2.__globals__"), 1),
        Global("numpy", "ndarray"),
    ],
    ids=["os.system", "eval", "torch.load", "an attribute of an admitted name", "numpy.ndarray"],
)
def test_a_pickle_that_asks_for_anything_but_tensors_is_refused(path, forbidden, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TorchFileError, match="which no file of weights needs"):
        load(path, written({"w": forbidden}))
    assert list(tmp_path.iterdir()) == []


@given(length=st.integers(0, len(sound()) - 1))
def test_a_truncated_file_is_refused_with_a_sentence(path, length):
    with pytest.raises(TorchFileError, match=r"weights\.pth cannot be used as model weights: .+"):
        load(path, sound()[:length])


@given(position=st.integers(0, len(sound()) - 1), byte=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_but_never_raises_anything_else(path, position, byte):
    content = bytearray(sound())
    content[position] = byte
    try:
        tensors = load(path, bytes(content))
    except TorchFileError:
        return
    assert all(isinstance(array, np.ndarray) for array in tensors.values())


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (2, 3), (4, 1)),
        (1, (2, 3), (3, 1)),
        (6, (1,), (1,)),
        (-1, (2,), (1,)),
        (5, (6,), (-1,)),
        (0, (10**12,), (0,)),
        (0, (2, 3), (1,)),
        (0, (0, 3), (3, 1)),
        (0, (2.0, 3), (3, 1)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(path, offset, shape, strides):
    storage = Storage("1", np.arange(6, dtype=np.float32))
    with pytest.raises(TorchFileError, match="tensor"):
        load(path, written({"w": tensor(storage, offset, shape, strides)}, [storage]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (written({}, magic=1), "not in the legacy PyTorch format"),
        (written({}, machine={"little_endian": False}), "big-endian"),
        (written({"epoch": 3}), "state_dict"),
        (written([1, 2]), "state_dict"),
        (b"PK\x03\x04 a newer file is a zip archive", "legacy PyTorch file"),
        (b"", "legacy PyTorch file"),
    ],
)
def test_other_files_are_refused_with_the_reason(path, content, reason):
    with pytest.raises(TorchFileError, match=reason) as caught:
        load(path, content)
    assert caught.value.permanent


def test_a_storage_of_another_length_than_its_tensors_say_is_refused(path):
    content = bytearray(sound())
    content[-6 * 4 - 8] = 5
    with pytest.raises(TorchFileError, match="not as long"):
        load(path, bytes(content))
