"""Bundles: the many small documents of another machine's store, carried home in a few files."""

from __future__ import annotations

import errno
import io
import os
import pathlib

from .. import machine
from ..campaign import measurements, units
from . import store as documents

FILES = 8  # at most, results-0.jsonl to results-7.jsonl
LIMIT = 15_500_000  # bytes a file
TOTAL = 60_000_000  # bytes in all
BEGINS = b'{"id":"'  # each document
NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has none


class Bundle:
    """Documents, one a line, in at most 8 files of at most 15.5 MB and 60 MB in all. One process writes at a time.

    A bundle that lies there already is gone on with, and a last line that a kill left torn is cut off. `left` counts
    the documents that found no room.

    Args:
        folder: where results-0.jsonl and so on lie; made if it is missing.

    Raises:
        ValueError: where a file of such a name is a link or holds anything else; nothing is touched then.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder, self.left, self._held = pathlib.Path(folder).expanduser(), 0, set()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._files = [self.folder / f"results-{i}.jsonl" for i in range(FILES)]
        contents = {path: _own(path) for path in self._files if os.path.lexists(path)}
        for path, content in contents.items():
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:
                with machine.replacing(path) as fresh:
                    fresh.write_bytes(whole)
            self._held.update(whole.splitlines(keepends=True))

    def add(self, path: str | os.PathLike) -> None:
        """Append the document in a file, and have it on the disk; nothing is done for one that is in the bundle
        already.

        So a campaign that goes on may add its whole store first. After an error the bundle is as it was before.

        Args:
            path: of the document.

        Raises:
            ValueError: if the document is damaged.
            OSError: if the bundle is full or cannot be written.
        """
        content = documents._bytes(documents.read(path))
        if content in self._held:
            return
        sizes = [p.stat().st_size if p.exists() else 0 for p in self._files]
        room = [at for at, size in enumerate(sizes) if size + len(content) <= LIMIT]
        if not room or sum(sizes) + len(content) > TOTAL:
            self.left += 1
            raise OSError(
                errno.ENOSPC,
                f"the bundle is full, {sum(sizes)} bytes of {TOTAL} in {FILES} files of {LIMIT}: "
                f"documents left out so far: {self.left}. Nothing is lost, {path} stays where it is; merge this "
                "bundle, then `lbgap run --out` another folder for what is missing",
                str(self.folder),
            )
        target, size = self._files[room[0]], sizes[room[0]]
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_LINK, 0o666)
        try:
            with open(descriptor, "ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            os.truncate(target, size)
            raise
        self._held.add(content)


def _own(path: pathlib.Path) -> bytes:
    """What a file of a bundle holds. ValueError if it is none."""
    try:
        if path.is_symlink():
            raise ValueError("it is a link")
        content = path.read_bytes()
        *lines, torn = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            documents.check(line + b"\n", f"line {number}")
        if not torn.startswith(BEGINS[: len(torn)]):
            raise ValueError("its last line begins as no document does")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no file of a bundle ({error}); delete it, or name another folder") from error
    return content


def merge(folder: str | os.PathLike, store: documents.Store, replace: bool = False) -> tuple[int, int, list[str]]:
    """Put the documents of a bundle, or of another store's folder, into the store, byte for byte.

    Each is checked as `results.read` checks a file, and added atomically, so a merge that was killed is simply
    repeated. A document of a revised unit takes the place of the one before its revision.

    Args:
        folder: with results-*.jsonl as a Bundle wrote them, or with KIND/ID.json as a Store does.
        store: into which.
        replace: take the newcomer where the store holds another version; else nothing is overwritten.

    Returns:
        How many were added or replaced, how many the store had, and a line of words for each that was refused: it is
        damaged or cannot be read, no unit that this version can compute, or the store, packaged documents included,
        holds another version.

    Raises:
        FileNotFoundError: if the folder has no documents.
        OSError: if the store cannot be written.
    """
    files = sorted(pathlib.Path(folder).glob("results-*.jsonl")) or sorted(pathlib.Path(folder).glob("*/*.json"))
    if not files:
        raise FileNotFoundError(
            f"{folder} has no results-*.jsonl and no KIND/ID.json; expected the folder that "
            "`lbgap run --out` wrote, or a results folder"
        )
    added, already, refused = 0, 0, []
    for path in files:
        try:
            lines = io.BytesIO(path.read_bytes())
        except OSError as error:
            refused.append(f"{path} cannot be read ({error})")
            continue
        for number, line in enumerate(lines, 1):
            try:
                new = _merge(line, f"{path} line {number}", store, replace)
                added, already = added + new, already + (not new)
            except ValueError as error:
                refused.append(str(error))
    return added, already, refused


def _merge(line: bytes, where: str, store: documents.Store, replace: bool) -> bool:
    """Whether the document was written (not so if the store has it). ValueError if it is damaged, unknown or would
    overwrite."""
    document = documents.check(line, where)
    there = document["spec"] in store
    try:
        if not there:  # these raise for what is none
            measurements.KINDS[document["spec"]["kind"]], units.describe(document["spec"])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where} is no unit that this version of lbgap knows ({type(error).__name__}: {error}); "
            "merge it with the version that computed it"
        ) from error
    path = store.accept(document)
    if there and path.read_bytes() != line:
        if not replace:
            told = f"{where}: the store holds another version"
            raise ValueError(f"{told}; to take this one, merge with --replace, or first delete {path}")
        store.accept(document, replace=True)
        return True
    return not there
