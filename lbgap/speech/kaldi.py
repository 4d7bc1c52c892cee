"""TIMIT as a reader's own Kaldi recipe left it: features and alignments, read with kaldiio. Nothing of TIMIT is
shipped."""

from __future__ import annotations

import os
import pathlib
import re
import warnings

import numpy as np

from .. import machine

FRAMES = {"train": 721_329, "test": 310_621}  # Table 5
CLASSES = 1973  # Appendix B.2
DIMENSIONS = 40, 360  # of a frame, and of nine frames side by side
MAKES = {
    "feats": "copy-feats scp:FEATURES/feats.scp ark:{path}",
    "ali": 'ali-to-pdf ALIGNMENTS/final.mdl "ark:gunzip -c ALIGNMENTS/ali.*.gz |" ark:{path}',
    "num_pdfs": "tree-info ALIGNMENTS/tree | grep num-pdfs | awk '{{print $2}}' > {path}",
}


def read(folder: str | os.PathLike) -> tuple[np.ndarray, ...]:
    """The frames of both parts: x_train, y_train, x_test, y_test, lengths_train, lengths_test.

    x: float32 features (T, D), D 40 or, already spliced, 360; y: int64 pdf-ids (T,); lengths: int64 frames of each
    utterance (U,). The utterances follow one another in the order of their names, however Kaldi's jobs split them. It
    warns where a count is not the paper's (Table 5, Appendix B.2) and where an utterance lacks features or alignment:
    it is left out.

    Args:
        folder: it holds num_pdfs (see `classes`) and, in train/ and in test/, feats.ark and ali.ark, binary, compressed
            or text; in place of NAME.ark also NAME.scp, whose paths start at its own folder unless absolute, or all of
            NAME.1.ark, NAME.2.ark, ...

    Raises:
        FileNotFoundError: no such file.
        ImportError: no kaldiio.
        ValueError: a damaged file, an utterance that is there twice or in both parts, features that are not finite or
            of another D, an alignment that does not fit them or the model.
    """
    folder = pathlib.Path(folder)
    pdfs = classes(folder)
    _compare(f"{folder / 'num_pdfs'}: the alignment model has {pdfs:,} pdfs", pdfs, CLASSES, "Appendix B.2")
    x_train, y_train, train = _part(folder / "train", pdfs)
    x_test, y_test, test = _part(folder / "test", pdfs)
    if both := sorted(train.keys() & test):
        told = f"utterance {both[0]} is in both {folder / 'train'} and {folder / 'test'} ({len(both)} such)"
        raise ValueError(f"{told}; expected each in one: copy the right set into each folder")
    if (d := x_train.shape[1]) != (d_test := x_test.shape[1]):
        told = f"D is {d} in {folder / 'train'} and {d_test} in {folder / 'test'}"
        raise ValueError(f"{told}; expected one D: splice both or none")
    for part, y in (("train", y_train), ("test", y_test)):
        _compare(f"{folder / part} has {len(y):,} frames", len(y), FRAMES[part], "Table 5")
    lengths = (np.array([*names.values()], dtype=np.int64) for names in (train, test))
    return x_train, y_train, x_test, y_test, *lengths


def classes(folder: str | os.PathLike) -> int:
    """The number of pdfs of the alignment model, the one number in the file num_pdfs; the last pdf-id need not occur.

    Args:
        folder: that of `read`.

    Raises:
        FileNotFoundError: no folder, no num_pdfs.
        ValueError: anything else in num_pdfs.
    """
    path = pathlib.Path(folder, "num_pdfs")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path.parent} is no folder; expected one with train/feats.ark, train/ali.ark, test/feats.ark,"
            " test/ali.ark and num_pdfs, from your own Kaldi recipe for TIMIT, which is not shipped"
        )
    makes = MAKES["num_pdfs"].format(path=path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there; expected one number, that of the alignment model's pdfs. In your Kaldi recipe, with"
            f" ALIGNMENTS the folder of the alignments (exp/...): {makes}"
        )
    content = path.read_bytes().strip()
    if not re.fullmatch(rb"0*[1-9][0-9]*", content):
        raise ValueError(f"{path} holds {content[:40]!r}; expected one positive integer, as of: {makes}")
    return int(content)


def _compare(ours: str, count: int, paper: int, source: str):
    if count != paper:
        told = f"{ours}, the paper's {paper:,} ({source})"
        warnings.warn(f"{told}: a result from them is not on the paper's very data", stacklevel=3)


def _part(folder, pdfs) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Features, pdf-ids, and how many frames each utterance has, of train/ or test/."""
    features, alignments = _table(folder, "feats"), _table(folder, "ali")
    for have, lack, what in (
        (features, alignments, "features but no alignment"),
        (alignments, features, "an alignment but no features"),
    ):
        if missing := sorted(have.keys() - lack):
            told = f"{len(missing)} of {len(have)} utterances have {what}"
            warnings.warn(f"{folder}: {told}: left out, {missing[0]} the first", stacklevel=3)
    names = sorted(features.keys() & alignments)
    if not names:
        raise ValueError(f"{folder}: no utterance has both features and an alignment; expected the same names in both")
    for name in names:
        where = f"{folder}, utterance {name}"
        features[name] = _features(features[name], where)
        if (d := features[name].shape[1]) != (first := features[names[0]].shape[1]):
            told = f"{where}: the features have D = {d}, those of {names[0]} {first}"
            raise ValueError(f"{told}; expected one D: make the features anew")
        alignments[name] = _alignment(alignments[name], len(features[name]), pdfs, where)
    # The result is the one copy: the lists hold no numbers, and the tables go when this returns.
    x, y = (np.concatenate([table[name] for name in names]) for table in (features, alignments))
    return x, y, {name: len(alignments[name]) for name in names}


def _features(value, where) -> np.ndarray:
    if value.ndim != 2:
        raise ValueError(f"{where}: the features have shape {value.shape}; expected a matrix (T, D)")
    if value.shape[1] not in DIMENSIONS:
        told = f"{where}: the features have D = {value.shape[1]}; expected 40, or 360 if nine frames are spliced"
        raise ValueError(f"{told}: copy the features that the recipe's network is trained on")
    value = value.astype(np.float32, copy=False)
    if not np.isfinite(value).all():
        bad = value[~np.isfinite(value)][0]
        raise ValueError(f"{where}: the features hold {bad}; expected finite numbers: make the features anew")
    return value


def _alignment(value, frames, pdfs, where) -> np.ndarray:
    broken = value[value != np.round(value)]
    if value.ndim != 1 or broken.size:
        holds = f"holds {broken[0]}" if broken.size else f"has shape {value.shape}"
        raise ValueError(f"{where}: the alignment {holds}; expected a vector (T,) of integers, as ali-to-pdf writes")
    if len(value) != frames:
        told = f"{where}: the alignment has {len(value)} frames, the features {frames}"
        raise ValueError(f"{told}; expected as many: align these features")
    if (wrong := value[(value < 0) | (value >= pdfs)]).size:
        told = f"{where}: pdf-id {wrong[0]:.0f} is not one of num_pdfs = {pdfs}, 0 to {pdfs - 1}"
        raise ValueError(f"{told}: the alignment is another model's, or holds transition-ids, without ali-to-pdf")
    return value.astype(np.int64)


# --------------------------------------------------------------------------------------------------------------- files


def _table(folder, stem) -> dict[str, np.ndarray]:
    """Each utterance's array, as it is in the files called `stem`."""
    table = {}
    for path in _files(folder, stem):
        for name, value in (_scp if path.suffix == ".scp" else _ark)(path):
            if name in table:
                raise ValueError(f"{path}: utterance {name} was there before; expected each once: remove the copy")
            table[name] = value
    return table


def _files(folder, stem) -> list[pathlib.Path]:
    whole = folder / f"{stem}.ark"
    for path in (whole, whole.with_suffix(".scp")):
        if path.is_file():
            return [path]
    count = len([path for path in folder.glob(f"{stem}.*.ark") if path.name.split(".")[1].isdigit()])
    parts = [folder / f"{stem}.{k}.ark" for k in range(1, count + 1)]
    for path in parts or [whole]:
        if not path.is_file():
            or_else = f" (one of {count} parts)" if parts else f", nor {stem}.scp, nor {stem}.1.ark"
            make = MAKES[stem].format(path=path)
            raise FileNotFoundError(f"{path} is not there{or_else}; in your Kaldi recipe: {make}")
    return parts


def _ark(path):
    """The names and arrays of an archive, one after the other."""
    with open(path, "rb") as file:
        while name := _name(file, path):
            yield name, _value(file, f"{path}, utterance {name}")


def _scp(path):
    """The names and arrays of a script file: a name a line and FILE:BYTE, where its array begins."""
    content = path.read_bytes().decode(errors="replace")
    if not content.endswith("\n"):
        raise ValueError(f"{path} is truncated: its last line has no end; copy it again")
    for line in content.splitlines():
        found = re.fullmatch(r"\s*(\S+)\s+(\S.*?)(?::(\d+))?\s*", line)
        if not found:
            raise ValueError(f"{path}: the line {line[:80]!r} is garbled; expected a name and FILE:BYTE: copy it again")
        name, ark, byte = found.groups(default="0")
        if not (ark := path.parent / ark).is_file():
            raise FileNotFoundError(
                f"{path}: the line of utterance {name!r} points to {ark}, which is not there; an scp holds the paths of"
                f" the machine that wrote it. On that machine: {MAKES[path.stem].format(path=path.with_suffix('.ark'))}"
            )
        with open(ark, "rb") as file:
            file.seek(int(byte))
            yield name, _value(file, f"{ark} (byte {byte}), utterance {name}")


def _name(file, path) -> str:
    """The name of the next record; empty at the end of the file. (kaldiio takes an empty name for the end, wherever it
    stands.)"""
    while (byte := file.read(1)).isspace():
        pass
    name = b""
    while byte.strip():
        name += byte
        byte = file.read(1)
    try:
        return name.decode()
    except UnicodeDecodeError:
        told = f"{name[:20]!r} stands for an utterance's name"
        raise ValueError(f"{path} is garbled, or no Kaldi archive: {told}; copy it again") from None


def _value(file, where) -> np.ndarray:
    """The array that begins here. kaldiio.load_ark would take a cut text alignment for whole, or read its end for
    ever."""
    matio = machine.needs("kaldiio", "speech").matio
    try:
        start = file.read(3)
        file.seek(-len(start), 1)
        if start[:2] != b"\0B":
            return _text(file)
        return matio.read_int32vector(file) if start[2:] == b"\4" else matio.read_matrix_or_vector(file)
    except Exception as error:  # kaldiio raises AssertionError, struct.error, ValueError, MemoryError, ...
        told = f"truncated or garbled ({type(error).__name__} {error})"
        raise ValueError(f"{where}: {told}; write or copy the file again") from error


def _text(file) -> np.ndarray:
    """Kaldi's text form: a line of numbers, or brackets around them; a matrix if its brackets are on different
    lines."""
    lines = [file.readline()]
    while lines[0].lstrip().startswith(b"[") and b"]" not in lines[-1] and lines[-1]:
        lines.append(file.readline())
    if not lines[-1].endswith(b"\n"):
        raise EOFError("the file ends within it")
    content = b"".join(lines).decode("ascii").strip().removeprefix("[").removesuffix("]")
    if "\n" in content:
        return np.array([row.split() for row in content.split("\n") if row.strip()], dtype=np.float32)
    return np.array(content.split(), dtype=np.float64)  # single precision would round great integers
