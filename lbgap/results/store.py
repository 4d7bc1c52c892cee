"""The store: one JSON document a unit, found by the hash of its specification, any changed byte detected."""

from __future__ import annotations

import datetime
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import re
import subprocess
import sys

import torch

from .. import machine

ENTRIES = {"id", "spec", "result", "provenance", "sha256"}
PACKAGED = pathlib.Path(__file__).parent.parent / "store"
MOVED = {"to", "match", "twin", "split", "dtype", "batch_size", "augmented"}  # with which f is not the run's at its end
KIND = "[a-z][a-z0-9_-]*"  # the name of a folder, and nothing that leads out of the store
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
REMEDY = "restore it from its source, or delete it and let `lbgap run` compute it again"


class Store:
    """Documents in a folder, laid over the packaged ones.

    A document is {"id", "spec", "result", "provenance", "sha256"}: id is the hash of spec, sha256 that of all the rest.

    Args:
        folder: where new documents go; LBGAP_RESULTS, or ~/.cache/lbgap/results, by default.
        packaged: the folder under it; None for none.
    """

    def __init__(self, folder: str | os.PathLike | None = None, packaged: str | os.PathLike | None = PACKAGED):
        self.folder = machine.path(folder or machine.folder("LBGAP_RESULTS") or machine.cache() / "results")
        under = packaged and machine.path(packaged)
        self.folders = [self.folder, *([under] if under and under != self.folder else [])]

    def get(self, spec: dict) -> dict | None:
        """The document of a specification, the folder's before the packaged one, or None.

        It is read once for as long as its file stays as it is; leave it unchanged.

        Args:
            spec: of the unit.

        Raises:
            ValueError: if it is damaged.
        """
        path = self._found(spec)
        return path and _read(path, (file := os.stat(path)).st_mtime_ns, file.st_size)

    def __contains__(self, spec: dict) -> bool:
        """Whether the document of a specification is there, and whole."""
        try:
            return self.get(spec) is not None
        except (OSError, ValueError):
            return False

    def _found(self, spec: dict) -> str | None:
        name = _name(spec)
        places = (f"{folder}/{name}" for folder in self.folders)  # no Path: a page asks for thousands
        return next(filter(os.path.exists, places), None)

    def path(self, spec: dict) -> pathlib.Path:
        """Where the folder holds, or would hold, the document of a specification."""
        return self.folder / _name(spec)

    def put(self, spec: dict, result: dict, provenance: dict) -> pathlib.Path:
        """Write a document atomically into the folder.

        Args:
            spec: of the unit.
            result: what was measured; NaN and infinities become None.
            provenance: as `provenance` gives it.

        Returns:
            Its path.

        Raises:
            OSError: if it cannot be written.
        """
        document = {"id": content_id(spec), "spec": spec, "result": finite(result), "provenance": provenance}
        document["sha256"] = _digest(document)
        return self._write(document)

    def accept(self, document: dict, replace: bool = False) -> pathlib.Path:
        """Take in a document that was computed elsewhere; those of former revisions (see `former`) leave the folder.

        Args:
            document: whole, as `read` returns it.
            replace: write it also where there is one of its id.

        Returns:
            The path of the document of its id.

        Raises:
            ValueError: if it is damaged.
            OSError: if it cannot be written.
        """
        check(_bytes(document), f"the document {document.get('id')}")
        there = not replace and document["spec"] in self
        path = pathlib.Path(self._found(document["spec"])) if there else self._write(document)
        for before in former(document["spec"]):
            self.path(before).unlink(missing_ok=True)
        return path

    def _write(self, document) -> pathlib.Path:
        path = self.path(document["spec"])
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.resolve() != self.folder.resolve() / path.parent.name:
            raise OSError(f"{path.parent} is a link that leads out of {self.folder}; expected a folder in it")
        self.make_room(document["spec"])
        with machine.replacing(path) as fresh:
            fresh.write_bytes(_bytes(document))
        return path

    def make_room(self, spec: dict) -> None:
        """Set aside what lies in the folder in place of a specification's document, but is damaged."""
        path = self.path(spec)
        if path.exists():
            try:
                read(path)
            except ValueError as error:
                machine.set_aside(path, error)

    def paths(self) -> list[pathlib.Path]:
        """Every document's file, the folder's in place of the packaged ones that it covers."""
        found = {}
        for folder in reversed(self.folders):
            for path in sorted(folder.glob("*/*.json")):
                found[path.relative_to(folder)] = path
        return [found[key] for key in sorted(found)]

    def verify(self) -> list[str]:
        """What is wrong with any document in any folder.

        Returns:
            A line for each document that was changed or cannot be read, and for each run of which documents measured
            different minimisers; empty when nothing is wrong.
        """
        wrong = []
        for folder in filter(pathlib.Path.exists, self.folders):
            for place in (folder, *sorted(folder.glob("*/"))):
                try:
                    os.listdir(place)  # a glob passes over what it may not look into
                except OSError as error:
                    wrong.append(f"{place} cannot be read ({error}); give yourself the right to")
            for path in sorted(folder.glob("*/*.json")):
                try:
                    read(path)
                except ValueError as error:
                    wrong.append(str(error))
        return wrong or self.disagreements()

    def disagreements(self) -> list[str]:
        """The runs of which documents measured different minimisers: trained again elsewhere, a run ends elsewhere.

        Each document names the x it measured by a checksum. Older ones do not: of these, the f where sharpness was
        measured is compared with the f where the run's training document ended, and may differ by a thousandth.

        Returns:
            A line for each such run: its id, and the documents for each x; and for each document that has no such
            content, whole as it is.
        """
        held, ends, starts = {}, {}, []  # {run: {x: documents}}, {run: (f, document)}, [(run, f, document)]
        number, odd = lambda f: math.nan if f is None else float(f), []
        for document in map(read, self.paths()):
            spec, result, told = (document[key] for key in ("spec", "result", "provenance"))
            name = f"{spec['kind']}/{document['id']}"
            try:
                for run, x in told.get("x", {}).items():
                    held.setdefault(run, {}).setdefault(x, []).append(name)
                if "final" in result:
                    ends[content_id(spec["run"])] = number(result["final"]["batch"]["train"]["loss"]), name
                elif result.get("values") and "x" not in told and not MOVED & set(spec):
                    starts.append((content_id(spec["run"]), number(result["values"][0]["f0"]), name))
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                odd.append(f"{name} is no result of its kind ({type(error).__name__}: {error}); {REMEDY}")
        for run, f, name in starts:
            if run in ends and abs(f - ends[run][0]) > 1e-3 * ends[run][0]:
                both = held.setdefault(run, {})
                both.setdefault(f"f = {f:.4g}", []).append(name)
                both[f"f = {ends[run][0]:.4g}"] = [ends[run][1]]
        return odd + [
            f"run {run} has documents of different minimisers, delete all but one's and measure these again: "
            + "; ".join(f"{x}: {', '.join(names)}" for x, names in found.items())
            for run, found in held.items()
            if len(found) > 1
        ]


def _name(spec: dict) -> str:
    """The file of a specification's document inside a folder. ValueError for a kind that leads elsewhere."""
    if not (isinstance(spec["kind"], str) and re.fullmatch(KIND, spec["kind"])):
        raise ValueError(f"kind is {spec['kind']!r}; expected a word in small letters, which names a folder")
    return f"{spec['kind']}/{content_id(spec)}.json"


def former(spec: dict) -> list[dict]:
    """The specifications that a unit had before its revision, the last one first; none without a revision.

    A `revision` says that what measures the unit has changed, so that an old value is not taken for a new one.

    Args:
        spec: of the unit.
    """
    if "revision" not in spec:
        return []
    first = {k: v for k, v in spec.items() if k != "revision"}
    return [{**first, "revision": k} for k in range(spec["revision"] - 1, 1, -1)] + [first]


def content_id(spec: dict) -> str:
    """The id of a specification: 24 hex digits of the sha256 of its canonical JSON.

    >>> content_id({"b": 1, "a": 2}) == content_id({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(_canonical(spec).encode()).hexdigest()[:24]


def read(path: str | os.PathLike) -> dict:
    """The document in a file.

    Args:
        path: of the file.

    Raises:
        ValueError: if it cannot be read, a byte of it was changed, or it lies under another's name.
    """
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} is damaged ({error}); {REMEDY}") from error
    document = check(content, path)
    if document["id"] != path.stem or document["spec"]["kind"] != path.parent.name:
        raise ValueError(f"{path} is damaged: its name does not match its content; {REMEDY}")
    return document


@functools.lru_cache(4096)
def _read(path, changed, size) -> dict:
    return read(path)


def check(content: bytes, where: object) -> dict:
    """The document that some bytes are, byte for byte.

    Args:
        content: the bytes.
        where: they lie, for the message.

    Raises:
        ValueError: if a byte was changed.
    """
    try:
        document = json.loads(content)
        rest = {k: v for k, v in document.items() if k != "sha256"}
        whole = document["sha256"] == _digest(rest) and content == _bytes(document) and document.keys() == ENTRIES
        named = document["id"] == content_id(document["spec"]) and re.fullmatch(KIND, document["spec"]["kind"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{where} is damaged ({type(error).__name__}: {error}); {REMEDY}") from error
    if not (whole and named):
        part = "name" if whole else "content"
        raise ValueError(f"{where} is damaged: its {part} does not match its checksum; {REMEDY}")
    return document


def _bytes(document: dict) -> bytes:
    return (_canonical(document) + "\n").encode()


def _digest(document: dict) -> str:
    return hashlib.sha256(_bytes(document)).hexdigest()


def finite(value: object) -> object:
    """The same nested lists and dicts with None for NaN and infinities, which JSON does not have.

    >>> finite({"loss": [0.1, math.nan]})
    {'loss': [0.1, None]}
    """
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def provenance(
    device: str | torch.device,
    seconds: float,
    data: str | None,
    threads: int | None = None,
    x: dict[str, str] | None = None,
) -> dict:
    """Where, when and with what a result was computed.

    Args:
        device: as PyTorch names it.
        seconds: of wall time.
        data: the data set's checksum, None without one.
        threads: those it was computed on, PyTorch's number by default.
        x: {Run.id: checksum} of each minimiser that was measured.
    """
    kind = torch.device(device).type
    return {
        "device": torch.cuda.get_device_name(device) if kind == "cuda" else _cpu(),
        "threads": threads or torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit(),
        "data": data,
        **({"x": x} if x else {}),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{name: importlib.metadata.version(name) for name in ("numpy", "scipy")},
        },
    }


@functools.cache
def _cpu() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@functools.cache
def commit() -> str:
    """The commit of this package's own checkout, with "-dirty" if lbgap/ differs from it; else LBGAP_COMMIT; else the
    release, also where it lies inside a repository that is not its own."""
    here = pathlib.Path(__file__).parent.parent
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # a hook names another's
    git = lambda *words: subprocess.run(
        ["git", "-C", here, *words], capture_output=True, text=True, check=True, env=own
    ).stdout.strip()
    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        if os.path.samefile(git("rev-parse", "--show-toplevel"), here.parent):
            return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", "*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        pass  # no git, or no checkout
    return os.environ.get("LBGAP_COMMIT") or f"release {sys.modules['lbgap'].__version__}"
