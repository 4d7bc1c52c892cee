"""Data sets: the embedded ones, damaged and missing files, label noise, and torchvision of either kind."""

import gzip
import hashlib
import importlib.util
import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from conftest import ROOT

from lbgap import data

pytestmark = pytest.mark.usefixtures("nothing_remembered")
FOLDER = os.environ.get("LBGAP_DATA")  # where a reader keeps the full sets


@pytest.fixture(scope="module")
def embedded():
    return {name: data.load(name) for name in ("mnist-5k", "mnist-1k")}


# --------------------------------------------------------------------------------------------------- embedded sets


@pytest.mark.parametrize("name, train, test", [("mnist-5k", 4000, 1000), ("mnist-1k", 1000, 4000)])
def test_the_embedded_sets_are_balanced_and_scaled(embedded, name, train, test):
    d = embedded[name]
    for x, y, size in ((d.x_train, d.y_train, train), (d.x_test, d.y_test, test)):
        assert x.shape == (size, 1, 28, 28) and x.dtype == torch.float32 and y.dtype == torch.int64
        assert torch.bincount(y).tolist() == 10 * [size // 10]
        assert x.min() == 0 and x.max() == 1
        assert torch.equal((x * 255).round() / 255, x)  # nothing but pixels / 255
    assert d.name == name and d.classes == 10 and d.checksum == data.CHECKSUMS[name]
    assert d.split("train")[0] is d.x_train and d.split("test")[1] is d.y_test


def test_the_two_are_one_split_turned_round_without_a_common_image(embedded):
    a, b = embedded["mnist-5k"], embedded["mnist-1k"]
    assert torch.equal(a.x_train, b.x_test) and torch.equal(a.y_test, b.y_train)
    images = lambda x: {image.numpy().tobytes() for image in x}
    assert not images(a.x_train) & images(a.x_test)


def test_the_checksum_is_of_shapes_and_bytes_in_order():
    arrays = np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([1, 2])
    expected = hashlib.sha256(b"((2, 3), '|u1')" + bytes(range(6)) + b"((2,), '<i8')" + struct.pack("<qq", 1, 2))
    assert data.digest(arrays) == expected.hexdigest()
    assert data.digest([arrays[0].T.copy().T, arrays[1]]) == expected.hexdigest()  # memory order does not count


def test_an_unknown_name_split_or_share_is_refused_by_name(embedded):
    with pytest.raises(ValueError, match="'mnits'.*mnist"):
        data.load("mnits")
    with pytest.raises(ValueError, match="'valid'.*train"):
        embedded["mnist-1k"].split("valid")
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=f"{share}"):
            data.load("mnist-1k", label_noise=share)


# ---------------------------------------------------------------------------------------------------- label noise


def test_label_noise_replaces_the_exact_share_by_another_class(embedded):
    clean, noisy = embedded["mnist-1k"], data.load("mnist-1k", label_noise=0.123, noise_seed=4)
    changed = clean.y_train != noisy.y_train
    assert changed.sum() == 123
    assert noisy.y_train.min() >= 0 and noisy.y_train.max() <= 9
    assert torch.equal(clean.y_test, noisy.y_test) and torch.equal(clean.x_train, noisy.x_train)
    assert noisy.checksum != clean.checksum


def test_label_noise_is_the_seeds_and_uniform_over_the_other_classes():
    y = np.zeros(30_000, dtype=np.int64)
    a, b, other = (data.noisy(y, 4, 0.9, seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, other) and not y.any()
    assert np.bincount(a)[0] == 3000
    assert np.allclose(np.bincount(a)[1:], 9000, atol=5 * np.sqrt(9000))


# ------------------------------------------------------------------------------------------ files of LBGAP_DATA


def tiny_mnist():
    rng = np.random.default_rng(0)
    return tuple(a for n in (6, 4) for a in (rng.integers(0, 256, (n, 1, 28, 28), np.uint8), rng.integers(0, 10, n)))


def test_a_packed_file_is_read(tmp_path, monkeypatch):
    arrays = tiny_mnist()
    np.savez_compressed(tmp_path / "lbgap-mnist.npz", **dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays)))
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=f"checksum.*{tmp_path}.*again"):  # not MNIST
        data.load("mnist")
    monkeypatch.setitem(data.CHECKSUMS, "mnist", data.digest(arrays))
    d = data.load("mnist")
    assert np.array_equal((d.x_train * 255).round().byte(), arrays[0]) and np.array_equal(d.y_test, arrays[3])


@pytest.mark.parametrize("damage", ["byte", "truncated", "not a zip", "part missing"])
def test_a_damaged_packed_file_is_refused_with_its_name(tmp_path, monkeypatch, damage):
    arrays, path = tiny_mnist(), tmp_path / "lbgap-mnist.npz"
    parts = dict(zip(("x_train", "y_train", "x_test", "y_test"), arrays))
    if damage == "part missing":
        del parts["y_test"]
    np.savez_compressed(path, **parts)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(
        {"byte": content, "truncated": content[:200], "not a zip": b"hello"}.get(damage, path.read_bytes())
    )
    monkeypatch.setitem(data.CHECKSUMS, "mnist", data.digest(arrays))
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="lbgap-mnist.npz.*(damaged|again)"):
        data.load("mnist")


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_an_empty_folder_names_itself_and_the_remedy_and_downloads_nothing(tmp_path, monkeypatch, name):
    import urllib.request

    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: pytest.fail("tried to download"))
    with pytest.raises(FileNotFoundError, match=rf"{name} was not found in {tmp_path}(.|\n)*LBGAP_DATA(.|\n)*mnist-5k"):
        data.load(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_mnist_in_torchvisions_layout(tmp_path, monkeypatch, packed):
    arrays = tiny_mnist()
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, x, y in (("train", *arrays[:2]), ("t10k", *arrays[2:])):
        files = {
            f"{part}-images-idx3-ubyte": struct.pack(">4i", 2051, len(x), 28, 28) + x.tobytes(),
            f"{part}-labels-idx1-ubyte": struct.pack(">2i", 2049, len(y)) + y.astype(np.uint8).tobytes(),
        }
        for name, content in files.items():
            (raw / name).write_bytes(content)
            if packed:  # torchvision keeps these beside the others; they alone are not enough
                (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="mnist has checksum"):
        data.load("mnist")
    monkeypatch.setitem(data.CHECKSUMS, "mnist", data.digest(arrays))
    d = data.load("mnist")
    assert d.x_train.shape == (6, 1, 28, 28) and np.array_equal((d.x_test * 255).round().byte(), arrays[2])
    assert d.y_train.tolist() == arrays[1].tolist()
    truncated = raw / "train-images-idx3-ubyte"
    whole = truncated.read_bytes()
    for damaged in (whole[:-100], whole[:9], b"", gzip.compress(whole), b"<!DOCTYPE html>403 Forbidden"):
        truncated.write_bytes(damaged)
        data._load.cache_clear()
        with pytest.raises(ValueError, match=f"mnist in {tmp_path} is damaged or another.*fetch it again"):
            data.load("mnist")


@pytest.mark.skipif(not FOLDER, reason="LBGAP_DATA IS UNSET: the full data sets are not checked")
@pytest.mark.parametrize(
    "name, train, test", [("mnist", (60000, 1, 28, 28), 10000), ("cifar10", (50000, 3, 32, 32), 10000)]
)
def test_the_full_sets_where_they_are(name, train, test):
    arrays = data.raw(name, FOLDER)
    assert arrays[0].shape == train and len(arrays[3]) == test
    assert data.digest(arrays) == data.CHECKSUMS[name]


# ---------------------------------------------------------------------------------------------------- torchvision


NMS_IS_MISSING = """
    import torch
    from . import half
    for operator in ("nms", "qnms"):
        torch.library.register_fake(f"torchvision::{operator}", lambda dets, scores, iou_threshold: dets)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Write a torchvision of our own into a folder that is searched first, and forget it afterwards."""

    def write(content):
        package = tmp_path / "torchvision"
        package.mkdir()
        (package / "half.py").write_text("")
        (package / "__init__.py").write_text(textwrap.dedent(content) + '\ndatasets = "data sets"\n')

    ours = lambda: [name for name in sys.modules if name.split(".")[0] == "torchvision"]
    kept = {name: sys.modules.pop(name) for name in ours()}
    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for name in ours():
        del sys.modules[name]
    sys.modules.update(kept)


def test_a_torchvision_that_matches_torch_is_imported_as_it_is(stand_in, monkeypatch):
    stand_in("from . import half")
    monkeypatch.setattr(torch.library, "Library", lambda *a: pytest.fail("declared an operator"))
    assert data.import_torchvision.__wrapped__().datasets == "data sets"


def test_another_fault_of_torchvision_is_not_hidden(stand_in):
    stand_in("raise RuntimeError('another fault')")
    with pytest.raises(RuntimeError, match="another fault"):
        data.import_torchvision.__wrapped__()


def test_a_torchvision_without_its_operators_is_imported_too(stand_in, tmp_path):
    """As a CUDA build of torchvision beside a CPU build of torch; in a process that has declared nothing yet."""
    stand_in(NMS_IS_MISSING)
    script = textwrap.dedent(f"""
        import gc, sys
        sys.path.insert(0, {str(tmp_path)!r})
        from lbgap import data
        assert "torchvision" not in sys.modules  # lbgap alone does not need it
        assert data.import_torchvision().datasets == "data sets"
        assert data.import_torchvision() is sys.modules["torchvision"]
        gc.collect()
        import torch
        assert hasattr(torch.ops.torchvision, "nms")
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_the_torchvision_that_is_installed_here():
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("NO TORCHVISION HERE: it is needed for the full data sets")
    assert data.import_torchvision().datasets.MNIST


@pytest.mark.parametrize(
    "name, like", [("tiny-mnist", "F1"), ("tiny-timit", "F2"), ("tiny-cifar10", "C1"), ("tiny-cifar100", "C3")]
)
def test_the_synthetic_sets_have_the_shapes_of_the_networks_and_are_the_same_each_time(name, like, monkeypatch):
    from lbgap import networks

    first = data.load(name)
    data._load.cache_clear()
    again = data.load(name)
    assert first.checksum == again.checksum and len(first.x_train) == len(first.x_test) == 256
    assert first.x_train.shape[1:] == networks.input_shape(like)
    assert (-12.7 if like == "F2" else 0) <= first.x_train.min() and first.x_train.max() <= (
        12.7 if like == "F2" else 1
    )
    assert first.classes == networks.build(like)(first.x_train[:2]).shape[1] > first.y_train.max()
    assert not torch.equal(first.x_train, first.x_test)


def test_a_validation_set_is_every_sixth_training_example_and_never_a_test_example():
    whole, held = data.load("tiny-mnist"), data.load("tiny-mnist-val")
    assert torch.equal(held.x_test, whole.x_train[5::6]) and torch.equal(held.y_test, whole.y_train[5::6])
    rest = torch.ones(256, dtype=bool)
    rest[5::6] = False
    assert torch.equal(held.x_train, whole.x_train[rest]) and len(held.y_train) + len(held.y_test) == 256
    assert held.checksum != whole.checksum
