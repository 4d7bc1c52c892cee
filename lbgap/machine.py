"""This machine: threads, memory that is kept, and files that are written whole. Decided here and nowhere else."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import itertools
import os
import pathlib
import platform
import random
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import torch

SMALL = 500_000  # parameters: below, threads wait for one another longer than they work, and for ever on a busy machine
_DEFAULT = torch.get_num_threads()  # PyTorch's own choice, unless the caller chose before lbgap came to ask
_path = functools.lru_cache(pathlib.Path)  # a page asks a thousand times where the results are
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # glibc's malloc.h


def path(text: str | os.PathLike) -> pathlib.Path:
    """A path that a reader names; ~ is the home folder also where no shell has said so.

    Raises:
        ValueError: where there is no such home folder.
    """
    found = os.path.expanduser(text)
    if found.startswith("~"):
        raise ValueError(f"{text} is in a home folder that there is not; expected a path without ~")
    return _path(found)


def folder(variable: str) -> str | None:
    """The folder that an environment variable names, or None.

    Args:
        variable: LBGAP_DATA or LBGAP_RESULTS.
    """
    named = os.environ.get(variable)
    return str(path(named)) if named else None


def cache() -> pathlib.Path:
    """Where results and downloads go by default, ~/.cache/lbgap. ValueError without a home folder."""
    try:
        return path("~/.cache/lbgap")
    except ValueError:
        raise ValueError(
            "there is no home folder (HOME is not set); expected LBGAP_RESULTS, for results, and LBGAP_DATA, for data, "
            "to name a folder each"
        ) from None


def devices() -> list[str]:
    """The devices of this machine as `device=` and `--device` take them: cpu, cuda, cuda:0 and so on."""
    count = torch.cuda.device_count()
    return ["cpu", *(["cuda"] if count else []), *(f"cuda:{at}" for at in range(count))]


def needs(module: str, extra: str) -> ModuleType:
    """A module that not every installation has.

    Args:
        module: its name.
        extra: of lbgap's extras, that which brings it.

    Raises:
        ImportError: where it is not here; it says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'{module} cannot be imported ({error}); pip install "lbgap[{extra}]"') from error


def threads(parameters: int) -> int:
    """How many threads a network of so many parameters is trained and measured on.

    Args:
        parameters: of the network, n.

    Returns:
        PyTorch's number, but 1 for a small network where the caller has not said how many, by OMP_NUM_THREADS,
        MKL_NUM_THREADS or torch.set_num_threads (after `import lbgap`, with torch imported before it).
    """
    now = torch.get_num_threads()
    said = now != _DEFAULT or "OMP_NUM_THREADS" in os.environ or "MKL_NUM_THREADS" in os.environ
    return 1 if parameters < SMALL and not said else now


@contextlib.contextmanager
def sparing(parameters: int) -> Iterator[None]:
    """A context on `threads(parameters)` threads; PyTorch's number is put back after it.

    Args:
        parameters: of the network, n.
    """
    before, wanted = torch.get_num_threads(), threads(parameters)
    if wanted == before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def plain(tf32: bool = False) -> Iterator[None]:
    """A context, or decorator, in which it does not matter what the caller has switched on.

    The same numbers inside `torch.no_grad()`, `torch.inference_mode()`, autocast or with a coarser precision of matrix
    products. The caller's choices return after it.

    Args:
        tf32: let a GPU round inside matrix products to TF32; by default nothing is rounded more coarsely than float32.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    fused = torch.backends.mha.get_fastpath_enabled()  # without gradients a transformer would take another way
    with contextlib.ExitStack() as off:
        off.enter_context(torch.inference_mode(False))
        off.enter_context(torch.enable_grad())
        for kind in filter(torch.is_autocast_enabled, ("cpu", "cuda", "xpu", "mps")):
            off.enter_context(torch.autocast(kind, enabled=False))
        try:
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.mha.set_fastpath_enabled(False)
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]
            torch.backends.mha.set_fastpath_enabled(fused)


def chance() -> str:
    """The state of PyTorch's, NumPy's and Python's random numbers: another one where something has drawn some."""
    cuda = torch.cuda.get_rng_state().tolist() if torch.cuda.is_initialized() else ()
    return str((torch.get_rng_state().tolist(), cuda, np.random.get_state(legacy=False), random.getstate()))


@contextlib.contextmanager
def chance_kept() -> Iterator[None]:
    """A context that leaves the random states that `chance` shows as they were, whatever is drawn in it."""
    numpy, python = np.random.get_state(), random.getstate()
    devices = [*range(torch.cuda.device_count())] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        np.random.set_state(numpy)
        random.setstate(python)


@contextlib.contextmanager
def float32() -> Iterator[None]:
    """A context in which tensors are float32 unless said otherwise, whatever the caller's default is."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def on_cpu() -> contextlib.AbstractContextManager:
    """A context in which tensors are on the CPU unless said otherwise, whatever the caller's default is."""
    # a device as context slows each call down, so only where it is needed
    return contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


def bar(**settings: object) -> object | None:
    """A progress bar, or None on a bare machine with torch, numpy and scipy only.

    Args:
        settings: those of `tqdm.tqdm`.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(mininterval=1, **settings)


@functools.cache
def keep_memory() -> bool:
    """Have glibc keep freed memory for the next step, in place of giving it back and faulting it in again.

    A third to a half of a convolutional network's time on a CPU is page faults otherwise. The process keeps up to 2 GB
    that it no longer uses. Where MALLOC_TRIM_THRESHOLD_, MALLOC_TOP_PAD_ or MALLOC_MMAP_MAX_ is set, that choice
    stands.

    Returns:
        Whether it was done: False without glibc, or where the environment has its own setting.
    """
    own = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_"} & set(os.environ)
    if own or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(_M_MMAP_MAX, 0), mallopt(_M_TRIM_THRESHOLD, 2**31 - 1), mallopt(_M_TOP_PAD, 2**28)])


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Write a file whole or not at all: the block writes another path, which is put on the disk and then in its place.

    Args:
        path: of the file that is written or replaced; its folder is made.

    Returns:
        The path to write, beside it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield fresh
        with open(fresh, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def set_aside(path: pathlib.Path, why: object) -> None:
    """Rename a damaged file, so that what it held is made anew, and say so in a line.

    Args:
        path: of the file.
        why: what is wrong with it; it names the file.
    """
    names = (path.with_name(f"{path.name}.damaged{k or ''}") for k in itertools.count())
    aside = next(name for name in names if not name.exists())
    with contextlib.suppress(FileNotFoundError):  # another campaign was quicker
        os.replace(path, aside)
    print(f"{why}. It is set aside as {aside.name}, and made anew", flush=True)
