"""The command `lbgap`: what is measured, what is missing, and how to compute it."""

from __future__ import annotations

import argparse
import json
import os
import sys


def main(arguments=None) -> int:
    """Run `lbgap status | run | show | verify | data`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="lbgap", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    status = commands.add_parser("status", help="which experiments are done, and what is missing")
    _selection(status)

    run = commands.add_parser("run", help="compute what is missing, most valuable first; goes on where it stopped")
    _selection(run)
    run.add_argument("--budget", type=_seconds, help="stop inside this time: 90s, 9m or 2h")
    run.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    run.add_argument("--threads", type=int, help="PyTorch threads; two processes of one thread are best on two cores")
    run.add_argument("--out", help="the folder for results, in place of LBGAP_RESULTS")
    run.add_argument("--forget-weights", action="store_true", help="delete checkpoints that nothing needs any more")
    run.add_argument("--quiet", action="store_true", help="no progress bars")

    show = commands.add_parser("show", help="print a table, or the stored documents")
    show.add_argument("what", nargs="?", help="table2, table3, table4, or the beginning of a document's id; "
                      "without it, a line for each document")

    commands.add_parser("verify", help="check every stored document against its checksum")

    pack = commands.add_parser("data", help="write a data set as one file that needs no torchvision")
    pack.add_argument("name")
    pack.add_argument("--out", default=".", help="the folder, which LBGAP_DATA names on the other machine")

    options = parser.parse_args(arguments)
    try:
        return globals()[f"_{options.command}"](options)
    except (ValueError, OSError) as error:
        print(f"lbgap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lbgap: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _selection(parser):
    parser.add_argument("experiments", nargs="*", help="table2, table3, fig3, ...; all by default")
    parser.add_argument("--networks", nargs="+", default=["F1", "mlp", "mlp-bn"],
                        help="F1, C1, ...; F1 and the laboratory's mlp, mlp-bn by default")
    parser.add_argument("--trials", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="0 1 2 3 4 by default")


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
    from . import experiments, results

    store = results.Store()
    print(f"results: {store.folder}, over {len(store.folders) - 1} packaged folder\n\n{'experiment':<18}{'done':>6}{'missing':>9}")
    for name in options.experiments or experiments.TABLES:
        units = experiments.units([name], options.networks, options.trials)
        done = sum(unit in store for unit in units)
        print(f"{name:<18}{done:>6}{len(units) - done:>9}")
    return 0


def _run(options) -> int:
    import torch

    from . import campaign, experiments, results

    if options.threads:
        torch.set_num_threads(options.threads)
    units = experiments.units(options.experiments, options.networks, options.trials)
    count = campaign.run(units, results.Store(options.out), budget=options.budget, device=options.device,
                         keep_weights=not options.forget_weights, progress=not options.quiet)
    print(", ".join(f"{number} {what}" for what, number in count.items()))
    return 1 if count["failed"] else 0


def _show(options) -> int:
    from . import campaign, results

    if options.what in ("table2", "table3", "table4"):
        from . import figures

        print(getattr(figures, options.what)())
        return 0
    found = [path for path in results.Store().paths() if path.stem.startswith(options.what or "")]
    if options.what and not found:
        raise ValueError(f"no document's id begins with {options.what!r}; `lbgap show` lists them all")
    for document in map(results.read, found):
        if options.what:
            print(json.dumps(document, indent=1))
        else:
            print(document["id"], document["provenance"]["date"], campaign.describe(document["spec"]))
    return 0


def _verify(options) -> int:
    from . import results

    store = results.Store()
    wrong = store.verify()
    print("\n".join(wrong) if wrong else f"{len(store.paths())} documents, every byte as it was written")
    return 1 if wrong else 0


def _data(options) -> int:
    import numpy as np

    from . import data

    path = os.path.join(options.out, f"lbgap-{options.name}.npz")
    data.load(options.name)  # checks the name and the checksum
    np.savez_compressed(path, **dict(zip(("x_train", "y_train", "x_test", "y_test"),
                                         data.raw(options.name, os.environ.get("LBGAP_DATA")))))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
