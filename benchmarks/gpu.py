"""The first minute of a lent GPU: how fast each network trains and is measured there, and how long each table would
take.

    PYTHONPATH=. python benchmarks/gpu.py                               all that 60 seconds hold
    PYTHONPATH=. python benchmarks/gpu.py --networks F1 C1 --seconds 150
    PYTHONPATH=. python benchmarks/gpu.py --device cpu --scale tiny     the same code, without a GPU

Needs torch, numpy and scipy, and no data: the images are random. Ratios come from one run. share is of the measured
matrix product in the same precision; operations are counted by PyTorch, padding included, so a convolution can exceed
100 %. A section that fails, hangs or kills its process says so in a line, and the next one goes on in a fresh process.
Aims: F1 at 256 with graphs at least 3 times eager; C2 at least 50 % of the matrix product.
"""

import time

BEGAN = time.time()

import argparse
import collections
import contextlib
import gc
import math
import multiprocessing
import os
import sys
import warnings
from pathlib import Path
from statistics import median
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import torch.nn.functional as F

import lbgap
from lbgap import data, networks, results, training
from lbgap.campaign import cost, experiments, order, scales
from lbgap.objective import flat

SLICE = {"full": 0.3, "tiny": 0.1}  # seconds that one figure takes, warming up aside
QUIET = 30  # seconds without a word after which a section is given up
START = 90  # seconds that a process may take to import torch and to find its GPU
BESIDE = 20  # seconds kept for several processes at once, at most a third of all
PROJECTION = 6  # and for the projection
GIB = 2**30
SETS = {"F1": "mnist", "F2": "speech", "C1": "cifar10", "C2": "cifar10", "C3": "cifar100", "C4": "cifar100"}
LIKE = {"C3": "C1", "C4": "C2", "mlp": "F1", "mlp-bn": "F1"}  # whose rate stands for it
ARMS = (  # how a step is made, precision, cuDNN searches for the fastest algorithm
    ("eager", "float32", False),
    ("graphs", "float32", False),
    ("one graph", "float32", False),
    ("graphs", "tf32", False),
    ("graphs", "bf16", False),
    ("graphs", "float32", True),
    ("graphs", "bf16", True),
)
AT_LB = (ARMS[0], ARMS[1], ARMS[4], ARMS[5])  # launches matter less

Settings = collections.namedtuple("Settings", "device scale networks")


# -- helpers ----------------------------------------------------------------------------------------------------------


def on_cuda(s):
    return torch.device(s.device).type == "cuda"


def wait(s):
    if on_cuda(s):
        torch.cuda.synchronize()


def timed(work, s, least=2):
    """Median of seconds a call, after one that warms up."""
    work()
    wait(s)
    spent, until = [], time.perf_counter() + SLICE[s.scale]
    while len(spent) < least or time.perf_counter() < until:
        started = time.perf_counter()
        work()
        wait(s)
        spent.append(time.perf_counter() - started)
    return median(spent)


def last_line(error):
    """An error as the last line of its traceback."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"


def clean(s):
    gc.collect()
    if on_cuda(s):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def held(s):
    """GiB on the GPU that only the garbage collector frees."""
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    clean(s)
    return (before - torch.cuda.memory_reserved()) / GIB


def examples(s, network):
    """Training examples of the data set."""
    return data.examples(SETS[network] if s.scale == "full" else "tiny-mnist")[0]


def sizes(s, network):
    """{"SB": batch size, "LB": batch size}."""
    return {"SB": scales.SCALES[s.scale].small, "LB": scales.SCALES[s.scale].large[network]}


def random_set(s, network, count):
    """Random images and labels of the network's shape, on the device, as the training keeps them."""
    classes = networks.build(network, shrink=8)[-1].out_features
    inputs = torch.rand(count, *networks.input_shape(network), device=s.device)
    return inputs, torch.randint(classes, (count,), device=s.device), classes


def make(s, network, batch_size, precision="float32"):
    """(run, model on the device); the run's data set is never loaded."""
    name = {"F1": "tiny-mnist", "F2": "tiny-timit"}.get(
        network, "tiny-cifar10" if network in ("C1", "C2") else "tiny-cifar100"
    )
    run = lbgap.Run(network, name, batch_size, precision=precision, shrink=scales.SCALES[s.scale].shrink)
    model = run.build().to(s.device)
    if any(isinstance(m, torch.nn.Conv2d) for m in model):
        model = model.to(memory_format=torch.channels_last)
    return run, model


def like(inputs):
    return inputs.to(memory_format=torch.channels_last) if inputs.ndim == 4 and inputs.shape[1] > 1 else inputs


# -- sections, each in a process of its own: (tell, settings, ...); tell(line, {key: number})
# ---------------------------


def ceilings(tell, s):
    """Matrix products and memory."""
    n = 8192 if on_cuda(s) else 1024 if s.scale == "full" else 512
    for precision in ("float32", "tf32", "bf16"):
        if precision == "tf32" and not on_cuda(s):
            tell("  tf32      only on CUDA")
            continue
        with training._precision(precision, s.device):
            a, b = torch.randn(2, n, n, device=s.device).to(torch.bfloat16 if precision == "bf16" else torch.float32)
            reached = 2 * n**3 / timed(lambda: a @ b, s)
        tell(f"  {precision:<8}{reached / 1e12:9.2f} TFLOP/s, {n} x {n}", {("ceiling", precision): reached})
    a = torch.empty(2**28 if on_cuda(s) else 2**23, device=s.device)
    b = torch.empty_like(a)
    tell(f"  memory  {8 * len(a) / timed(lambda: b.copy_(a), s) / 1e9:9.0f} GB/s")
    del a, b
    tell(f"  cost.rate {cost.rate(s.device) / 1e12:7.2f} TFLOP/s, what `lbgap status` reckons with")


def train(tell, s, network, size, ceiling):
    """Examples a second of the training step, at SB or LB."""
    batch_size, whole = sizes(s, network)[size], examples(s, network)
    inputs, labels, _ = random_set(s, network, min(whole, max(51200, 4 * batch_size)))
    inputs = like(inputs)
    work = cost.flops(network, shrink=scales.SCALES[s.scale].shrink, gradient=True)
    eager = None
    for how, precision, search in ARMS if size == "SB" else AT_LB:
        if search and not network.startswith("C"):
            continue  # no convolution
        if not on_cuda(s) and precision == "bf16":
            how = "eager"
        name = f"  {how + (', searched' if search else ''):<18}{precision:<8}"
        if not on_cuda(s) and (how != "eager" or search):
            if not search:
                tell(f"{name} only on CUDA")
            continue
        clean(s)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                speed, prepared, peak = arm(s, network, batch_size, how, precision, search, inputs, labels)
                failure = None
            except Exception as error:  # told in words only, so that nothing holds on to its memory
                failure = last_line(error)
        for warning in {str(w.message).strip().splitlines()[0][:300] for w in warned}:
            tell(f"    warning: {warning}")
        if failure:
            tell(f"{name} failed: {failure}")
            if not usable(s):
                return
            continue
        eager = eager or speed
        share = f", share {100 * speed * work / ceiling[precision]:5.1f} %" if ceiling.get(precision) else ""
        memory = f", peak {peak / GIB:.1f} GiB" if peak else ""
        tell(
            f"{name}{speed:12,.0f} examples/s, {speed / eager:5.2f} x eager{share}, epoch {cost.clock(whole / speed)} "
            f"({whole / speed:.2f} s), prepared in {prepared:.1f} s{memory}",
            {} if how == "one graph" or search else {("train", network, batch_size, precision): speed * work},
        )
        if on_cuda(s) and how == "graphs" and size == "LB":
            tell(f"    without gc.collect() it goes on to hold {held(s):.1f} GiB")
        if peak and size == "LB" and how == "eager" and network.startswith("C"):
            tell(f"    at this rate a batch of {whole} needs about {peak / GIB * whole / batch_size:.0f} GiB")


def arm(s, network, batch_size, how, precision, search, inputs, labels):
    """(examples a second, seconds of preparation, peak bytes) of one way to make a step."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, search
    try:
        with training._precision(precision, s.device) as autocast:
            started = time.perf_counter()
            run, model = make(s, network, batch_size, precision)
            order = torch.Generator().manual_seed(0)
            if how == "one graph":
                epoch = whole_step(run, model, inputs, labels, order, autocast)
            else:
                optimizer = training.make_optimizer(run, list(model.parameters()))
                forward = training._graphed(model, inputs[:batch_size], autocast) if how == "graphs" else model
                if how == "graphs" and forward is model:
                    raise RuntimeError("no graph was captured, see the warning")

                def epoch(count):
                    step = training.Step(
                        run, model, optimizer, SimpleNamespace(y_train=labels[:count]), autocast, forward, batch_size
                    )
                    training._epoch(step, inputs[:count], order, batch_size)

            most = len(inputs) // batch_size
            epoch(min(most, 2) * batch_size)
            wait(s)
            prepared, started = time.perf_counter() - started, time.perf_counter()
            epoch(min(most, 2) * batch_size)
            wait(s)
            step = (time.perf_counter() - started) / min(most, 2)
            steps = max(1, min(most, int(SLICE[s.scale] / step)))
            started = time.perf_counter()
            epoch(steps * batch_size)
            wait(s)
            speed = steps * batch_size / (time.perf_counter() - started)
        return speed, prepared, torch.cuda.max_memory_allocated() if on_cuda(s) else 0
    finally:
        torch.backends.cudnn.benchmark = before


def whole_step(run, model, inputs, labels, order, autocast):
    """A training step as a single CUDA graph, the choice of its examples and the optimiser's step in it.

    What would be gained over `training._graphed`, which leaves loss, gradients' bookkeeping and optimiser to single
    launches.
    """
    optimizer = torch.optim.Adam(
        model.parameters(), run.lr, (run.beta1, run.beta2), run.adam_epsilon, fused=True, capturable=True
    )
    chosen = torch.zeros(run.batch_size, dtype=torch.int64, device=inputs.device)
    total = torch.zeros((), dtype=torch.float64, device=inputs.device)
    model.train()

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = F.cross_entropy(model(inputs[chosen]), labels[chosen])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach() * run.batch_size)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def epoch(count):
        for part in training.batches(torch.randperm(count, generator=order).to(inputs.device), run.batch_size):
            chosen.copy_(part)
            graph.replay()
        if not math.isfinite(total.item()):
            raise ArithmeticError("the loss became infinite")

    return epoch


def measure(tell, s, network, ceiling):
    """f and its gradient over the whole training set, a Hessian product, and the solvers' own share."""
    whole, shrink = examples(s, network), scales.SCALES[s.scale].shrink
    work = cost.flops(network, shrink=shrink, gradient=True)
    count = min(whole, max(5000, int(2e13 / work) // 5000 * 5000))
    inputs, labels, classes = random_set(s, network, count)
    _, model = make(s, network, 1)
    x = flat(model.parameters())
    objective = lambda n: lbgap.Objective(
        model, dataset=data.Data("random", inputs[:n], labels[:n], inputs[:1], labels[:1], classes, "")
    )
    with training._precision("float32", s.device):
        f = objective(count)
        gradient = timed(lambda: f(x), s, 1) * whole / count
        share = f", share {100 * whole * work / gradient / ceiling['float32']:.1f} %" if ceiling.get("float32") else ""
        told = "" if count == whole else f" (from {count} examples)"
        tell(
            f"  f and gradient {gradient:.3f} s over {whole} examples{told}{share}",
            {("measure", network): whole * work / gradient},
        )
        value = timed(lambda: f.evaluate(x), s, 1) * whole / count
        tell(f"  f alone        {value:.3f} s, {value / gradient:.2f} of it")
        few = objective(256 if s.scale == "full" else 32)  # the solvers' own share does not depend on it
        one = timed(lambda: few(x), s)
        tell(f"  Hessian product {timed(lambda: few.hvp(x, x), s, 1) / one:.2f} times f and gradient")
    if on_cuda(s) and network.startswith("C"):
        try:
            with training._precision("float32", s.device):
                exact = few(x)
            with training._precision("tf32", s.device):
                torch.set_float32_matmul_precision(
                    "highest"
                )  # PyTorch's defaults: convolutions in tf32, matrix products not
                rounded = few(x)
            tell(
                f"  cuDNN's tf32, PyTorch's default, changes f by {abs(rounded[0] - exact[0]) / exact[0]:.1e} and the"
                f" gradient by {((rounded[1] - exact[1]).norm() / exact[1].norm()).item():.1e} of itself"
            )
        except Exception as error:
            tell(f"  tf32 beside float32 failed: {last_line(error)}")
    for name, settings in {"best": {}, "best, p = 100": {"subspace": 100}, "literal": {"solver": "literal"}}.items():
        inside = []

        def watched(at):
            wait(s)
            started = time.perf_counter()
            out = few(at)
            wait(s)
            inside.append(time.perf_counter() - started)
            return out

        try:
            with training._precision("float32", s.device):
                wait(s)
                started = time.perf_counter()
                found = lbgap.sharpness(watched, x, 1e-3, **settings)
                wait(s)
                own = time.perf_counter() - started - sum(inside)
            solve = own + found.passes * gradient
            tell(
                f"  {name:<14} {found.passes:.1f} passes, own {own:.2f} s, {100 * own / solve:.1f} % of a solve over "
                f"{whole} examples ({cost.clock(solve)})"
            )
        except Exception as error:
            tell(f"  {name} failed: {last_line(error)}")
            if not usable(s):
                raise


SECTIONS = {"ceilings": ceilings, "train": train, "measure": measure}


# -- processes --------------------------------------------------------------------------------------------------------


def usable(s):
    """Does the device still answer? After some errors it does not, in this process."""
    try:
        return torch.zeros(1, device=s.device).item() == 0
    except Exception:
        return False


def worker(connection, sections, s):
    """Do the sections, and tell the parent."""
    with contextlib.suppress(BrokenPipeError, EOFError, KeyboardInterrupt):
        try:
            torch.zeros(1, device=s.device)
        except Exception as error:
            connection.send(("line", f"  failed: {last_line(error)}", {}))
            return
        ceiling = {}

        def tell(line, found=None):
            for key, number in (found or {}).items():
                if key[0] == "ceiling":
                    ceiling[key[1]] = number
            connection.send(("line", line, found or {}))

        connection.send(("ready",))
        for name, arguments, known in sections:
            ceiling.update({k: v for k, v in known.items() if k not in ceiling})
            try:
                SECTIONS[name](tell, s, *arguments, *([] if name == "ceilings" else [ceiling]))
            except Exception as error:
                tell(f"  failed: {last_line(error)}")
            clean_quietly(s)
            connection.send(("end", usable(s)))


def clean_quietly(s):
    with contextlib.suppress(Exception):
        clean(s)


def title(name, arguments, s):
    if name == "train":
        return f"{arguments[0]}, training at {arguments[1]}, batch {sizes(s, arguments[0])[arguments[1]]}"
    return f"{arguments[0]}, measuring" if name == "measure" else "ceilings"


def supervise(sections, s, deadline):
    """Do the sections in processes that may die, print what they tell, and return their numbers."""
    context, found, waiting, failures = multiprocessing.get_context("spawn"), {}, list(sections), 0
    while waiting and failures < 3 and time.time() < deadline:
        known = {key[1]: number for key, number in found.items() if key[0] == "ceiling"}
        here, there = context.Pipe()
        process = context.Process(
            target=worker, args=(there, [(*section, known) for section in waiting], s), daemon=True
        )
        process.start()
        there.close()
        ready = False
        try:
            while waiting:
                limit = max(min(QUIET if ready else START, deadline - time.time()), 0.1)
                if not here.poll(limit):
                    over = time.time() >= deadline
                    print(
                        "  stopped: the time is over" if over else f"  given up: nothing was heard for {limit:.0f} s",
                        flush=True,
                    )
                    failures += not over and not ready
                    if ready:
                        waiting.pop(0)
                    break
                kind, *content = here.recv()
                if kind == "ready":
                    ready = True
                    print(f"\n{title(*waiting[0], s)}", flush=True)
                elif kind == "line":
                    found.update(content[1])
                    print(content[0], flush=True)
                else:
                    waiting.pop(0)
                    if not content[0]:
                        print("  the device does not answer this process any more; a new one goes on", flush=True)
                        break
                    if waiting:
                        print(f"\n{title(*waiting[0], s)}", flush=True)
        except (EOFError, OSError) as error:
            process.join(5)
            print(f"  the process died (exit code {process.exitcode}, {type(error).__name__})", flush=True)
            failures += not ready
            if ready and waiting:
                waiting.pop(0)
        finally:
            process.kill()
            process.join(10)
    for section in waiting:
        print(f"left out: {title(*section, s)}")
    return found


def trainer(connection, s):
    """Train F1 at SB again and again, for as many seconds as the parent says."""
    with contextlib.suppress(BrokenPipeError, EOFError, KeyboardInterrupt):
        try:
            if not on_cuda(s):
                torch.set_num_threads(1)
            batch_size = sizes(s, "F1")["SB"]
            inputs, labels, _ = random_set(s, "F1", min(examples(s, "F1"), 100 * batch_size))
            run, model = make(s, "F1", batch_size)
            optimizer, order = training.make_optimizer(run, list(model.parameters())), torch.Generator().manual_seed(0)
            with training._precision("float32", s.device) as autocast:
                forward = training._graphed(model, inputs[:batch_size], autocast) if on_cuda(s) else model
                step = training.Step(
                    run, model, optimizer, SimpleNamespace(y_train=labels), autocast, forward, batch_size
                )
                epoch = lambda: training._epoch(step, inputs, order, batch_size)
                epoch()
                connection.send(None)
                while seconds := connection.recv():
                    count, started = 0, time.perf_counter()
                    while time.perf_counter() < started + seconds:
                        epoch()
                        count += len(inputs)
                    connection.send(count / (time.perf_counter() - started))
        except Exception as error:
            connection.send(last_line(error))


def beside(s, counts, deadline):
    """Aggregate rate of several processes that train F1 at once, over one's."""
    print(f"\nseveral processes on one device, F1 at batch {sizes(s, 'F1')['SB']}", flush=True)
    context, here, processes = multiprocessing.get_context("spawn"), [], []
    try:
        for _ in range(max(counts)):
            mine, its = context.Pipe()
            here.append(mine)
            processes.append(context.Process(target=trainer, args=(its, s), daemon=True))
            processes[-1].start()
            its.close()

        def heard(k):
            if not here[k].poll(max(deadline - time.time(), 0.1)):
                raise TimeoutError("no time left")
            answer = here[k].recv()
            if isinstance(answer, str):
                raise RuntimeError(answer)
            return answer

        for k in range(len(here)):
            heard(k)
        alone = None
        for count in counts:
            for k in range(count):
                here[k].send(3 * SLICE[s.scale])
            together = sum(heard(k) for k in range(count))
            alone = alone or together
            print(f"  {count} at once {together:12,.0f} examples/s, {together / alone:.2f} times one's", flush=True)
    except Exception as error:
        print(f"  failed: {last_line(error)}", flush=True)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join(10)


# -- what fits --------------------------------------------------------------------------------------------------------


def speeds(found, precision):
    """The rate for cost.projected: measured by network, between SB and LB along the logarithm of the batch size.

    Below SB a step takes as long as at SB, as it does when launches bound it. NaN for what was not measured.
    """

    def rate(network, batch_size):
        of = LIKE.get(network, network)
        smaller = min(1, cost.flops(network) / cost.flops(of))
        if batch_size is None:
            return smaller * found.get(("measure", of), math.nan)
        points = sorted(
            (key[2], reached)
            for key, reached in found.items()
            if key[0] == "train" and (key[1], key[3]) == (of, precision)
        )
        if not points:
            return math.nan
        at = np.interp(math.log(batch_size), [math.log(b) for b, _ in points], [r for _, r in points])
        return smaller * min(1, batch_size / points[0][0]) * float(at)

    return rate


def projection(s, found):
    """Print the minutes of each experiment, beside what those above it have trained already."""
    os.environ["LBGAP_SCALE"] = s.scale
    store, measured = results.Store(), {key[1] for key in found if key[0] in ("train", "measure")}
    shown = [n for n in scales.scale().datasets if LIKE.get(n, n) in measured]
    if not shown:
        print("\nno network was measured, so nothing is projected")
        return
    print(
        f"\nminutes of what is missing in {store.folder}, float32, each beside those above it; one process\n"
        f"{'experiment':<18}{'units':>7}" + "".join(f"{n:>9}" for n in shown) + f"{'all':>9}{'so far':>9}"
    )
    rate, before, wanted, far = speeds(found, "float32"), dict.fromkeys(shown, 0.0), {n: {} for n in shown}, 0.0
    for name in experiments.EXPERIMENTS:
        row, missing = [], 0
        for network in shown:
            more = {repr(unit): unit for unit in order.wanted([name], [network])}
            missing += sum(unit not in store for key, unit in more.items() if key not in wanted[network])
            wanted[network] |= more
            now = cost.projected(wanted[network].values(), rate, store)
            row.append((now - before[network]) / 60)
            before[network] = now
        whole = sum(minutes for minutes in row if not math.isnan(minutes))
        far += whole
        print(
            f"{name:<18}{missing:>7}"
            + "".join(f"{'?' if math.isnan(m) else f'{m:.1f}':>9}" for m in (*row, whole, far)),
            flush=True,
        )
    for precision in ("float32", "tf32", "bf16"):
        seconds = [cost.projected(wanted[n].values(), speeds(found, precision), store) for n in shown]
        if not all(map(math.isnan, seconds)):
            told = [f"{n} {'?' if math.isnan(t) else cost.clock(t)}" for n, t in zip(shown, seconds)]
            print(f"all, training in {precision}: {', '.join(told)}")


def about(s):
    """What runs here."""
    print(
        f"torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, numpy"
        f" {np.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    )
    if on_cuda(s):
        p = torch.cuda.get_device_properties(s.device)
        print(
            f"{p.name}, {p.total_memory / GIB:.0f} GiB, {p.multi_processor_count} multiprocessors, "
            f"compute capability {p.major}.{p.minor}"
        )
    else:
        print(results._cpu())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--networks", nargs="+", default=["F1", "C1", "C2", "F2"], choices=list(SETS))
    parser.add_argument("--scale", choices=list(scales.SCALES), default="full")
    parser.add_argument("--seconds", type=float, default=60, help="the whole may take, 60 by default")
    options = parser.parse_args()
    deadline = BEGAN + options.seconds - PROJECTION
    s = Settings(options.device, options.scale, tuple(options.networks))
    try:
        about(s)
    except Exception as error:
        print(f"failed: {last_line(error)}")
    sections = [("ceilings", ())]
    for network in s.networks:
        sections += [("train", (network, "SB")), ("train", (network, "LB")), ("measure", (network,))]
    found = {}
    try:
        found = supervise(sections, s, deadline - min(BESIDE, options.seconds / 3))
    except Exception as error:
        print(f"failed: {last_line(error)}")
    beside(s, (1, 2, 3, 5) if on_cuda(s) else (1, 2), deadline)
    try:
        projection(s, found)
    except Exception as error:
        print(f"projection failed: {last_line(error)}")
    print(f"\n{time.time() - BEGAN:.0f} s in all, load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
