"""The command `lbgap`: what is measured, what is missing, and how to compute it."""

from __future__ import annotations

import argparse
import inspect
import json
import math
import os
import pathlib
import sys
from collections.abc import Sequence

import lbgap


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `lbgap status | run | merge | show | verify | data | course`.

    Args:
        arguments: the words after `lbgap`, sys.argv's by default.

    Returns:
        The exit code: 0; 1 where something failed, is damaged or was refused; 2 where what is asked makes no sense or
        cannot be done, after one line that says why; 130 after an interrupt; 141 where nobody reads on.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # where the output is ASCII, ? stands for what it lacks
            stream.reconfigure(errors="replace")
    options = _parser().parse_args(arguments)
    try:
        for name, value in vars(options).items():
            _expect("" not in (value if isinstance(value, list) else [value]), name, "''", "a word")
        if getattr(options, "scale", None):
            os.environ["LBGAP_SCALE"] = options.scale
        code = globals()[f"_{options.command}"](options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `lbgap status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"lbgap: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lbgap: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"lbgap: {' '.join(message.split())}; `{self.prog} --help` says what is expected\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lbgap",
        description=__doc__,
        epilog="exit code: 0; 1 where something failed, is damaged or was refused; 2 where a call makes no sense or "
        "cannot be carried out",
    )
    parser.add_argument("--version", action="version", version=f"lbgap {lbgap.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    status = commands.add_parser("status", help="which experiments are done, what is missing, and what that costs here")
    _selection(status)
    status.add_argument("--device", default="cpu", help="where the cost is projected for; cpu by default")

    run = commands.add_parser("run", help="compute what is missing, most valuable first; goes on where it stopped")
    _selection(run)
    run.add_argument("--budget", type=_seconds, help="stop inside this time: 90s, 9m or 2h")
    run.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    run.add_argument("--threads", type=int, help="PyTorch threads of a process; one is best for several processes")
    run.add_argument("--workers", type=int, help="processes on this machine, of one thread each without --threads")
    run.add_argument("--dask", metavar="ADDRESS", help="of a Dask cluster, tcp://host:8786; needs lbgap[cluster]")
    run.add_argument("--out", metavar="DIR", help="also write at most 8 files there, to be merged elsewhere")
    run.add_argument("--retry", action="store_true", help="try again what failed before")
    run.add_argument("--forget-weights", action="store_true", help="delete checkpoints that nothing needs any more")
    run.add_argument("--quiet", action="store_true", help="no progress bars")

    merge = commands.add_parser("merge", help="bring in what `lbgap run --out` wrote, or another results folder")
    merge.add_argument("folder")
    merge.add_argument("--replace", action="store_true", help="take the newcomer where the store holds another version")

    show = commands.add_parser("show", help="print or draw a table or figure, or print stored documents")
    show.add_argument(
        "what",
        nargs="?",
        help="table2, fig4, ..., or the beginning of a document's id; without it, a line for each document",
    )
    show.add_argument("--networks", nargs="+", help="F1, F2-timit, ...; those of the table or figure by default")
    show.add_argument("--to", metavar="FILE", help="where a figure is drawn, NAME.png by default")
    _scale(show)

    commands.add_parser("verify", help="check every stored document against its checksum")

    pack = commands.add_parser("data", help="write a data set as one file that needs no torchvision, or make speech")
    pack.add_argument(
        "name",
        nargs="+",
        metavar="[make] NAME",
        help="mnist, cifar10, ...; make speech, or make speech-lj from LJ Speech's wav files",
    )
    pack.add_argument(
        "--out",
        help="the folder: the present one, or for `make` where `lbgap.load` looks, LBGAP_DATA or ~/.cache/lbgap",
    )

    course = commands.add_parser("course", help="for teachers: make an assignment, or grade a folder of notebooks")
    course.add_argument("what", choices=["assign", "grade"], help="make from a master; or grade. Needs lbgap[teach]")
    course.add_argument("path", metavar="MASTER|FOLDER", help="the master notebook; or the folder of submissions")
    course.add_argument("--autograder", metavar="ZIP", help="of `grade`: what `assign` made")
    course.add_argument("--limit", type=_seconds, help="of `grade`: the time of one submission, 10m by default")
    course.add_argument("--out", help="the folder of what is made, . by default; or the table, grades.csv by default")

    return parser


def _selection(parser):
    parser.add_argument("experiments", nargs="*", help="table2, table3, fig3, ...; all by default")
    parser.add_argument("--networks", nargs="+", help="F1, C1, ...; on a CPU what two cores can do by default")
    parser.add_argument("--trials", nargs="+", type=int, help="0 1 2 3 4 by default")
    _scale(parser)


def _scale(parser):
    parser.add_argument(
        "--scale",
        choices=["full", "tiny"],
        help="full (default), or tiny: everything in seconds, on synthetic examples, with numbers that mean nothing",
    )


def _seconds(text: str) -> float:
    """90s, 9m or 2h in seconds."""
    units = {"s": 1, "m": 60, "h": 3600}
    try:
        seconds = float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; expected for example 90s, 9m or 2h")
    return seconds


def _expect(fine, what: str, value, expected: str) -> None:
    """Raise ValueError, which names the value and what was expected, unless it is fine."""
    if not fine:
        raise ValueError(f"{what} is {value}; expected {expected}")


def _folder(what: str, folder, write: bool = True) -> pathlib.Path:
    """A folder that is there or can be made. ValueError where it is a file or in one, or may not be written."""
    from . import machine

    path = machine.path(folder)
    there = next(place for place in (path.absolute(), *path.absolute().parents) if os.path.exists(place))
    _expect(there.is_dir(), what, folder, f"a folder, but {there} is a file")
    may = os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    _expect(may or not write, what, folder, f"a folder of yours, but {there} may not be written")
    return path


def _file(what: str, file) -> pathlib.Path:
    """A file that can be written. ValueError where it is a folder, has no ending, or lies in no folder."""
    from . import machine

    path = machine.path(file)
    _expect(path.suffix and not path.is_dir(), what, file, "a file with an ending, such as NAME.png")
    _expect(path.parent.is_dir(), what, file, f"a file in a folder that is there, but {path.parent} is not")
    return _folder(what, path.parent) / path.name


def _store(write: bool = False):
    from . import results

    store = results.Store()
    _folder("the results folder (LBGAP_RESULTS)", store.folder, write)
    return store


def _status(options) -> int:
    from . import campaign, machine
    from .campaign import cost, experiments, order

    order.check(options.experiments, options.networks, options.trials)
    known = machine.devices()
    _expect(options.device in known, "--device", options.device, f"what is here, {', '.join(known)}")
    store, rate, kind = _store(), cost.rate(options.device), options.device.split(":")[0]
    missing = lambda units: [unit for unit in units if unit not in store]
    # a step of another device is not timed on this one
    here = lambda units: [unit for unit in units if unit.get("device", kind) == kind]
    left = lambda units: cost.clock(cost.projected(here(units), rate, store)) if units else "-"
    print(
        f"results: {store.folder}, over {len(store.folders) - 1} packaged folder; cost: projected for {options.device},"
        f" {rate / 1e9:,.0f} GFLOP/s\n\n{'experiment':<20}{'':<46}{'done':>6}{'missing':>9}{'failed':>8}  cost"
    )
    for name in options.experiments or experiments.EXPERIMENTS:
        wanted = order.wanted([name], options.networks, options.trials)
        if wanted:
            units, title = missing(wanted), experiments.EXPERIMENTS[name].title
            failed = sum(campaign.failure(unit, store) is not None for unit in units)
            print(f"{name:<20}{title:<46}{len(wanted) - len(units):>6}{len(units):>9}{failed:>8}  {left(units)}")
    everything = order.wanted(options.experiments, options.networks, options.trials)
    total = cost.projected(here(everything), rate, store)
    print(f"\nall that is missing, what they share counted once: {cost.clock(total)}")
    if not (options.experiments or options.networks or options.trials):
        print(f"\n{'the order in which `lbgap run` computes on a CPU':<66}{'done':>6}{'missing':>9}  cost")
        for what, wanted in order.rows():
            units = missing(wanted)
            print(f"{what:<66}{len(wanted) - len(units):>6}{len(units):>9}  {left(units)}")
    return 0


def _run(options) -> int:
    import torch

    from . import campaign, machine
    from .campaign import order, scales
    from .results import bundles

    order.check(options.experiments, options.networks, options.trials)
    _expect(not (options.workers and options.dask), "--dask", options.dask, "no --workers beside it")
    known = ["cpu", "cuda"] if options.dask else machine.devices()  # a cluster may have what is not here
    _expect(options.device in known, "--device", options.device, f"what is here, {', '.join(known)}")
    most = 1024 if options.dask else 4 * (os.cpu_count() or 1)
    for name in ("threads", "workers"):
        value = getattr(options, name)
        _expect(value is None or 1 <= value <= most, f"--{name}", value, f"1 to {most}, four for each core")
    threads = options.threads or (1 if options.workers or options.dask else None)
    if threads:
        torch.set_num_threads(threads)
    everywhere = options.device != "cpu" or scales.scale() is scales.SCALES["tiny"]
    by_hand = everywhere or options.experiments or options.networks or options.trials is not None
    networks = options.networks or (None if everywhere else order.CPU)
    wanted = order.wanted(options.experiments, networks, options.trials) if by_hand else order.first()
    _expect(wanted, "--trials", options.trials, "trials that these experiments have of these networks")
    store, executor, at_once = _store(write=True), *_executor(options, threads)
    bundle = options.out and bundles.Bundle(_folder("--out", options.out))
    if bundle:  # what an earlier call computed may not have come home
        for unit in wanted:
            if unit in store and (path := store.path(unit)).exists():
                bundle.add(path)
    with executor as executor:
        count = campaign.run(
            wanted,
            store,
            budget=options.budget,
            device=options.device,
            threads=threads,
            retry=options.retry,
            keep_weights=not options.forget_weights,
            progress=not options.quiet,
            executor=executor,
            at_once=at_once,
            on_document=bundle and bundle.add,
        )
    print(", ".join(f"{number} {what}" for what, number in count.items()))
    return 1 if count["failed"] else 0


def _executor(options, threads):
    """The executor that the options ask for, in a `with` (None is this process), and how many workers it has."""
    import contextlib
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from . import campaign

    if options.workers:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # before a worker imports torch
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(options.workers, spawn, campaign.end_with_parent), options.workers
    if options.dask:
        from . import machine

        try:
            client = machine.needs("distributed", "cluster").Client(options.dask)
        except (OSError, ValueError, TypeError) as error:
            _expect(False, "--dask", options.dask, f"a scheduler, tcp://host:8786, that answers ({error})")
        return client.get_executor(), max(1, sum(client.nthreads().values()))
    return contextlib.nullcontext(), 1


def _merge(options) -> int:
    from .results import bundles

    store = _store(write=True)
    _expect(_folder("the folder", options.folder, False).is_dir(), "the folder", options.folder, "one that is there")
    added, already, refused = bundles.merge(options.folder, store, options.replace)
    print(*refused, sep="\n", end="\n" if refused else "")
    print(f"{added} documents added to {store.folder}, {already} were there, {len(refused)} refused")
    _expect(added + already or not refused, "the folder", options.folder, "a document that can be taken, but has none")
    return 1 if refused else 0


def _show(options) -> int:
    from . import results
    from .campaign import experiments, order, scales, units

    store = _store()
    if options.what in experiments.EXPERIMENTS:
        from . import figures

        order.check([options.what], options.networks)
        draw = figures.ALL[options.what]
        own = options.networks and "networks" not in inspect.signature(draw).parameters
        _expect(not own, "--networks", options.networks, f"none, since {options.what} has networks of its own")
        path = _file("--to", options.to or f"{options.what}.png")
        if scales.scale() is scales.SCALES["tiny"]:
            print("tiny scale: synthetic examples, and numbers that mean nothing", file=sys.stderr)
        drawn = draw(tuple(options.networks)) if options.networks else draw()
        if isinstance(drawn, figures.Text):
            _expect(not options.to, "--to", options.to, f"none, since {options.what} is text")
            print(drawn)
        else:
            drawn.savefig(path, dpi=150)
            print(path)
        return 0
    for name, value in (("--networks", options.networks), ("--to", options.to)):
        _expect(not value, name, value, f"none, since {options.what} is no table or figure of `lbgap status`")
    found = [path for path in store.paths() if path.stem.startswith(options.what or "")]
    known = "an experiment of `lbgap status`, or the beginning of a document's id"
    _expect(found or not options.what, "what to show", repr(options.what), known)
    documents = [(path, results.read(path)) for path in found]  # all are read before one is shown
    for path, document in documents:
        if options.what:
            print(json.dumps(document, indent=1))
            continue
        try:
            line = document["id"], document["provenance"]["date"], units.describe(document["spec"])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            line = path, f"is no unit that this version of lbgap knows ({type(error).__name__}: {error})"
        print(*line)
    return 0


def _verify(options) -> int:
    store = _store()
    wrong = store.verify()
    print("\n".join(wrong) if wrong else f"{len(store.paths())} documents, every byte as it was written")
    return 1 if wrong else 0


def _data(options) -> int:
    from . import data, machine, speech

    *make, name = options.name
    _expect(make in ([], ["make"]), "the data set", " ".join(options.name), "NAME or make NAME")
    folder = machine.folder("LBGAP_DATA")
    out = _folder("--out", options.out or (folder or machine.cache() if make else "."))
    if make:
        arrays, classes = speech.make(name, folder)
        out.mkdir(parents=True, exist_ok=True)
    else:
        _expect(not name.endswith("-val"), "the data set", name, f"{name.removesuffix('-val')}, of which it is a part")
        _expect(out.is_dir(), "--out", options.out, "a folder that is there")
        data.load(name)  # checks the name and the checksum
        arrays, classes = data.raw(name, folder), data.classes(name)
    print(data.pack(name, arrays, classes, out))
    if make:
        ours, known = data.digest(arrays)[:16], data.CHECKSUMS[name][:16]
        why = "another version of flite or of a package, or another kind of processor"
        whose = "the book's own" if ours == known else f"not the book's own, {known}...: {why}"
        counts = f"{len(arrays[1]):,} frames to train, {len(arrays[3]):,} to test, {classes:,} classes"
        print(f"{counts}; checksum {ours}..., {whose}")
    return 0


def _course(options) -> int:
    from .course import grading

    if options.what == "grade":
        _expect(options.autograder, "--autograder", "missing", "the zip that `lbgap course assign` made")
        _file("--out", options.out or "grades.csv")
    else:
        for name, value in (("--autograder", options.autograder), ("--limit", options.limit)):
            _expect(not value, name, value, "none, since `assign` grades nothing")
        _folder("--out", options.out or ".")
    return grading.command(options)


if __name__ == "__main__":
    sys.exit(main())
