"""The command `lbgap`: what is measured, what is missing, and how to compute it."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import pathlib
import sys


def main(arguments=None) -> int:
    """Run `lbgap status | run | merge | show | verify | data | course`; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # where the output is ASCII, ? stands for what it lacks
            stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(prog="lbgap", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    status = commands.add_parser("status", help="which experiments are done, what is missing, and what that costs here")
    _selection(status)
    status.add_argument("--device", default="cpu", help="where the cost is projected for; cpu by default")

    run = commands.add_parser("run", help="compute what is missing, most valuable first; goes on where it stopped")
    _selection(run)
    run.add_argument("--budget", type=_seconds, help="stop inside this time: 90s, 9m or 2h")
    run.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    run.add_argument(
        "--threads", type=int, help="PyTorch threads of a process; two processes of one thread are best on two cores"
    )
    run.add_argument(
        "--workers", type=int, help="so many processes on this machine, of one thread each unless --threads is given"
    )
    run.add_argument(
        "--dask", metavar="ADDRESS", help="the workers of a Dask cluster, tcp://host:8786; needs lbgap[cluster]"
    )
    run.add_argument(
        "--out", metavar="DIR", help="beside the results folder, write them as at most 8 files, to be merged elsewhere"
    )
    run.add_argument("--retry", action="store_true", help="try again what failed before")
    run.add_argument("--forget-weights", action="store_true", help="delete checkpoints that nothing needs any more")
    run.add_argument("--quiet", action="store_true", help="no progress bars")

    merge = commands.add_parser(
        "merge", help="bring in what `lbgap run --out` wrote on another machine, or another results folder"
    )
    merge.add_argument("folder")
    merge.add_argument("--replace", action="store_true", help="take the newcomer where the store holds another version")

    show = commands.add_parser("show", help="print or draw a table or figure, or print stored documents")
    show.add_argument(
        "what",
        nargs="?",
        help=(
            "table2, fig4, ... as in `lbgap status`, or the beginning of a document's id; "
            "without it, a line for each document"
        ),
    )
    show.add_argument("--networks", nargs="+", help="F1, F2-timit, ...; those of the table or figure by default")
    show.add_argument("--to", metavar="FILE", help="where a figure is drawn, NAME.png by default")
    _scale(show)

    commands.add_parser("verify", help="check every stored document against its checksum")

    pack = commands.add_parser(
        "data",
        help="write a data set as one file that needs no torchvision; `data make speech`: speak TIMIT's stand-in",
    )
    pack.add_argument(
        "name",
        nargs="+",
        metavar="[make] NAME",
        help="mnist, cifar10, ...; make speech, or make speech-lj from LJ Speech's wav files",
    )
    pack.add_argument(
        "--out",
        help=(
            "the folder, which LBGAP_DATA names on the other machine: the present one, or for `make` where "
            "`lbgap.load` looks, LBGAP_DATA's or ~/.cache/lbgap"
        ),
    )

    course = commands.add_parser("course", help="for teachers: make an assignment, or grade a folder of notebooks")
    course.add_argument("what", choices=["assign", "grade"], help="make from a master; or grade. Needs lbgap[teach]")
    course.add_argument("path", metavar="MASTER|FOLDER", help="the master notebook; or the folder of submissions")
    course.add_argument("--autograder", metavar="ZIP", help="of `grade`: what `assign` made")
    course.add_argument("--limit", type=_seconds, help="of `grade`: the time of one submission, 10m by default")
    course.add_argument("--out", help="the folder of what is made, . by default; or the table, grades.csv by default")

    options = parser.parse_args(arguments)
    if getattr(options, "scale", None):
        os.environ["LBGAP_SCALE"] = options.scale
    try:
        return globals()[f"_{options.command}"](options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        print(f"lbgap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lbgap: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _selection(parser):
    parser.add_argument("experiments", nargs="*", help="table2, table3, fig3, ...; all by default")
    parser.add_argument(
        "--networks", nargs="+", help="F1, C1, ...; for `run` on a CPU what two cores can do by default"
    )
    parser.add_argument("--trials", nargs="+", type=int, help="0 1 2 3 4 by default")
    _scale(parser)


def _scale(parser):
    parser.add_argument(
        "--scale",
        help="full (default), or tiny: everything in seconds, on synthetic examples, with numbers that mean nothing",
    )


def _seconds(text: str) -> float:
    """90s, 9m or 2h in seconds."""
    units = {"s": 1, "m": 60, "h": 3600}
    try:
        seconds = float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)
    except ValueError:
        seconds = 0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; expected for example 90s, 9m or 2h")
    return seconds


def _status(options) -> int:
    from . import campaign, results
    from .campaign import cost, experiments, order

    store, rate, kind = results.Store(), cost.rate(options.device), options.device.split(":")[0]
    here = lambda units: [
        unit for unit in units if unit.get("device", kind) == kind
    ]  # a step of another device is not timed on this one
    print(
        f"results: {store.folder}, over {len(store.folders) - 1} packaged folder; cost: projected for {options.device},"
        f" {rate / 1e9:,.0f} GFLOP/s\n\n{'experiment':<20}{'':<46}{'done':>6}{'missing':>9}{'failed':>8}  cost"
    )
    for name in options.experiments or experiments.EXPERIMENTS:
        wanted = order.wanted([name], options.networks, options.trials)
        if wanted:
            missing = [unit for unit in wanted if unit not in store]
            failed = sum(campaign.failure(unit, store) is not None for unit in missing)
            print(
                f"{name:<20}{experiments.EXPERIMENTS[name].title:<46}"
                f"{len(wanted) - len(missing):>6}{len(missing):>9}{failed:>8}"
                f"  {cost.clock(cost.projected(here(missing), rate, store)) if missing else '-'}"
            )
    everything = order.wanted(options.experiments, options.networks, options.trials)
    total = cost.projected(here(everything), rate, store)
    print(f"\nall that is missing, what they share counted once: {cost.clock(total)}")
    if not (options.experiments or options.networks or options.trials):
        print(f"\n{'the order in which `lbgap run` computes on a CPU':<66}{'done':>6}{'missing':>9}  cost")
        for what, units in order.rows():
            missing = [unit for unit in units if unit not in store]
            print(
                f"{what:<66}{len(units) - len(missing):>6}{len(missing):>9}  "
                f"{cost.clock(cost.projected(here(missing), rate, store)) if missing else '-'}"
            )
    return 0


def _run(options) -> int:
    import torch

    from . import campaign, results
    from .campaign import order, scales
    from .results import bundles

    if options.workers is not None and options.workers < 1:
        raise ValueError(f"--workers is {options.workers}; expected at least 1")
    if options.workers and options.dask:
        raise ValueError("--workers and --dask are both given; expected one of them")
    threads = options.threads or (1 if options.workers or options.dask else None)
    if threads:
        torch.set_num_threads(threads)
    everywhere = options.device != "cpu" or scales.scale() is scales.SCALES["tiny"]
    by_hand = everywhere or options.experiments or options.networks or options.trials is not None
    wanted = (
        order.first()
        if not by_hand
        else order.wanted(options.experiments, options.networks or (None if everywhere else order.CPU), options.trials)
    )
    store, bundle = results.Store(), options.out and bundles.Bundle(options.out)
    if bundle:  # what an earlier call computed may not have come home
        for path in filter(pathlib.Path.exists, map(store.path, wanted)):
            bundle.add(path)
    executor, at_once = _executor(options, threads)
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

    if options.workers:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # before a worker imports torch
        return ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")), options.workers
    if options.dask:
        try:
            from distributed import Client
        except ImportError:
            raise ImportError('--dask needs Dask, which is not installed; pip install "lbgap[cluster]"') from None
        client = Client(options.dask)
        return client.get_executor(), max(1, sum(client.nthreads().values()))
    return contextlib.nullcontext(), 1


def _merge(options) -> int:
    from . import results
    from .results import bundles

    store = results.Store()
    added, already, refused = bundles.merge(options.folder, store, options.replace)
    print(
        "\n".join(
            [*refused, f"{added} documents added to {store.folder}, {already} were there, {len(refused)} refused"]
        )
    )
    return 1 if refused else 0


def _show(options) -> int:
    from . import results
    from .campaign import experiments, scales, units

    if options.what in experiments.EXPERIMENTS:
        from . import figures

        if scales.scale() is scales.SCALES["tiny"]:
            print("tiny scale: synthetic examples, and numbers that mean nothing", file=sys.stderr)
        draw = figures.ALL[options.what]
        if options.networks and "networks" not in inspect.signature(draw).parameters:
            raise ValueError(f"{options.what} has networks of its own; expected no --networks")
        for network in options.networks or ():
            scales.run(network, 1, 0)  # says which there are, if it is not there
        drawn = draw(tuple(options.networks)) if options.networks else draw()
        if isinstance(drawn, figures.Text):
            print(drawn)
        else:
            path = options.to or f"{options.what}.png"
            drawn.savefig(path, dpi=150)
            print(path)
        return 0
    found = [path for path in results.Store().paths() if path.stem.startswith(options.what or "")]
    if options.what and not found:
        raise ValueError(
            f"{options.what!r} is no experiment, and no document's id begins with it; `lbgap status` lists the "
            "experiments, `lbgap show` the documents"
        )
    for document in map(results.read, found):
        if options.what:
            print(json.dumps(document, indent=1))
        else:
            print(document["id"], document["provenance"]["date"], units.describe(document["spec"]))
    return 0


def _verify(options) -> int:
    from . import results

    store = results.Store()
    wrong = store.verify()
    print("\n".join(wrong) if wrong else f"{len(store.paths())} documents, every byte as it was written")
    return 1 if wrong else 0


def _data(options) -> int:
    from . import data, machine, speech

    *make, name = options.name
    if make not in ([], ["make"]):
        raise ValueError(f"{' '.join(options.name)!r} is not understood; expected NAME or make NAME")
    folder = machine.folder("LBGAP_DATA")
    if make:
        arrays, classes = speech.make(name, folder)
        out = options.out or folder or data.DOWNLOADS
        os.makedirs(out, exist_ok=True)
    else:
        data.load(name)  # checks the name and the checksum
        arrays, classes, out = data.raw(name, folder), data.classes(name), options.out or "."
    print(data.pack(name, arrays, classes, out))
    if make:
        ours, known = data.digest(arrays)[:16], data.CHECKSUMS[name][:16]
        print(
            f"{len(arrays[1]):,} frames to train, {len(arrays[3]):,} to test, {classes:,} classes; checksum {ours}..., "
            + (
                "the book's own"
                if ours == known
                else (
                    f"not the book's own, {known}...: another version of flite or of a package, or another kind of"
                    " processor"
                )
            )
        )
    return 0


def _course(options) -> int:
    from .course import grading

    if options.what == "grade" and not options.autograder:
        raise ValueError("--autograder is missing; expected the zip that `lbgap course assign` made")
    return grading.command(options)


if __name__ == "__main__":
    sys.exit(main())
