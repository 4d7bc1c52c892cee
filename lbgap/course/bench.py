"""The live bench: train a small and a large batch with your own numbers, and keep every trial as a dot.

`controls()` shows the controls, in a live notebook, with ipywidgets 7.7 or 8. All that they call is plain functions.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..campaign.scales import SETTLED, USUAL
from ..data import load
from ..landscape import linear
from ..metric import sharpness
from ..objective import Objective, flat
from ..remedies import SAM, Conservative, Ghost, Injected
from ..training import Minimizer, Run, train

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

GOAL, EPOCHS = USUAL["mlp"]["stop_f"], 300  # f at which a run ends, and the most epochs that it may take
NETWORKS = {
    "mlp": "784-128-128-10",
    "mlp-bn": "784-128-128-10, batch norm",
    "conv": "two convolutions of 8 and 16 channels, batch norm",
    "F1": "F1, an eighth as wide",
}
SHRINK = {"F1": 8, "conv": 2}  # so that a trial takes well under a minute
REMEDIES = {
    "none": lambda choice: (),
    "SAM": lambda choice: (SAM(rho=0.2),),
    "noise injected": lambda choice: (Injected(choice.small),),
    "conservative": lambda choice: (Conservative(),),
    "ghost batch norm": lambda choice: (Ghost(choice.small),),
}
SIZES = (8, 16, 32, 64, 128, 256, 512, 1000)
ARMS = {"SB": "small batch", "LB": "large batch"}
ALPHAS = tuple(-0.5 + 0.125 * k for k in range(17))


class Stopped(Exception):
    """The reader pressed Stop."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a reader chose.

    Args:
        network: of NETWORKS.
        small, large: the two batch sizes.
        lr: Adam's rate, for both.
        remedy: of REMEDIES, for LB.
        epsilon: of the sharpness.
        seed: of start and order.
    """

    network: str = "mlp"
    small: int = 32
    large: int = 1000
    lr: float = 1e-3
    remedy: str = "none"
    epsilon: float = 1e-3
    seed: int = 0

    def runs(self) -> dict[str, Run]:
        """{"SB": run, "LB": run} on 1,000 images, from one start, to one f; in three epochs running where there is
        batch norm."""
        if self.small > self.large:
            raise ValueError(f"the small batch is {self.small}, the large one {self.large}; expected the smaller first")
        settings = {"stop_f": GOAL, "epochs": EPOCHS, **({} if self.network == "mlp" else SETTLED)}
        settings |= {"lr": self.lr, "shrink": SHRINK.get(self.network, 1)}
        run = lambda size, remedies=(): Run(self.network, "mnist-1k", size, self.seed, remedies=remedies, **settings)
        return {"SB": run(self.small), "LB": run(self.large, REMEDIES[self.remedy](self))}


@dataclasses.dataclass
class Trial:
    """What came of a choice.

    Args:
        choice: what was trained.
        accuracy: by arm (epoch, test accuracy). While an arm trains, batch norm takes the test images' own statistics;
            then the accuracies are the run's, recalibrated.
        minimizers, sharpness: by arm.
        path: the loss along the line between them, at ALPHAS.
    """

    choice: Choice
    accuracy: dict[str, list[tuple[int, float]]] = dataclasses.field(default_factory=dict)
    minimizers: dict[str, Minimizer] = dataclasses.field(default_factory=dict)
    sharpness: dict[str, float] = dataclasses.field(default_factory=dict)
    path: list[float] = dataclasses.field(default_factory=list)


def attempt(choice: Choice, changed: Callable = lambda trial: None, stopped: Callable = lambda: False) -> Trial:
    """Train both arms, measure both, and walk from one to the other.

    Args:
        choice: what.
        changed: called with the trial after each epoch and each measurement.
        stopped: asked after each epoch; where it is true, Stopped is raised.
    """
    trial = Trial(choice)
    images = load("mnist-1k")
    for arm, run in choice.runs().items():
        curve = trial.accuracy[arm] = []

        def after(epoch, network, curve=curve):
            if stopped():
                raise Stopped
            if epoch < 10 or epoch % 5 == 0:  # each look costs as much as a large batch's step
                looked = Objective(network, "test", dataset=images).evaluate(flat(network.parameters()))
                curve.append((epoch, looked[1]))
                changed(trial)

        trial.minimizers[arm] = minimizer = train(run, progress=False, on_epoch=after)
        trial.accuracy[arm] = list(zip(minimizer.history["epoch"], minimizer.history["test_accuracy"]))
        f = Objective(minimizer)
        trial.sharpness[arm] = sharpness(f, minimizer.x, choice.epsilon, iterations=6).value
        changed(trial)
    trial.path = list(linear(f, trial.minimizers["SB"].x, trial.minimizers["LB"].x, ALPHAS).loss)
    changed(trial)
    return trial


def draw(trials: list[Trial]) -> Figure:
    """The last trial's accuracy by epoch and its walk, and every trial as two dots joined by a line."""
    from ..figures.panels import COLOR, LINE, MARK, canvas, legend

    figure, (curves, walk, dots) = canvas(3, 3, 2.9)
    figure.set_size_inches(9, 3.3)
    last = trials[-1]
    for arm, values in last.accuracy.items():
        label = f"{ARMS[arm]}: {getattr(last.choice, 'small' if arm == 'SB' else 'large'):,}"
        if values:
            curves.plot(*zip(*values), LINE[arm], color=COLOR[arm], label=label)
            curves.plot(*values[-1], MARK[arm], color=COLOR[arm])
    curves.set(xlabel="epoch", ylabel="test accuracy, %", title="as they train")
    if last.path:
        walk.plot(ALPHAS, last.path, color="#222222")
        for arm, at in (("SB", 0.0), ("LB", 1.0)):
            walk.plot(at, last.path[ALPHAS.index(at)], MARK[arm], color=COLOR[arm])
    walk.set(xlabel="alpha: 0 small, 1 large batch", ylabel="training loss f", yscale="log")
    walk.set_title("the walk between them")
    for trial in trials:
        done = list(trial.sharpness)
        places = [(trial.sharpness[arm], trial.accuracy[arm][-1][1]) for arm in done]
        dots.plot(*zip(*places), "-", color="#999999", lw=0.8) if places else None
        for arm, (x, y) in zip(done, places):
            dots.plot(x, y, MARK[arm], color=COLOR[arm], mfc=COLOR[arm] if trial is last else "white")
    dots.set(xlabel="sharpness", ylabel="test accuracy, %", title="every trial", xscale="log")
    legend(figure, curves)
    return figure


def said(trial: Trial) -> str:
    """A trial in a sentence or two."""
    parts = []
    for arm, values in trial.accuracy.items():
        if arm in trial.sharpness:
            ended = trial.minimizers[arm].history["train_loss"][-1]
            epoch, accuracy = values[-1]
            found = f"test accuracy {accuracy:.2f} %, sharpness {trial.sharpness[arm]:.2f}"
            parts.append(f"{ARMS[arm]}: {epoch} epochs, f {ended:.4f}, {found}")
        else:
            parts.append(f"{ARMS[arm]}: epoch {values[-1][0] if values else 0}")
    if len(trial.sharpness) == 2:
        small, large = (trial.minimizers[arm].history["train_loss"][-1] for arm in ("SB", "LB"))
        if max(small, large) > 1.5 * min(small, large):
            parts.append("not at the same f, so one was trained further")
    return "; ".join(parts) + "."


def picture(trials: list[Trial]) -> str:
    """`draw` as an HTML image whose alternative text is `said`."""
    drawn = io.BytesIO()
    draw(trials).savefig(drawn, format="png", dpi=80)
    text = base64.b64encode(drawn.getvalue()).decode()
    return f'<img style="max-width:100%" alt="{html.escape(said(trials[-1]))}" src="data:image/png;base64,{text}">'


def controls() -> ipywidgets.VBox:
    """The controls and what comes of them, as an ipywidget; each trial runs in a thread, so that Stop can be
    pressed."""
    import ipywidgets as w

    wide = {"description_width": "7em"}
    dropdown = lambda what, options, value: w.Dropdown(description=what, options=options, value=value, style=wide)
    usual = Choice()
    controls = {
        "network": dropdown("network", [(words, name) for name, words in NETWORKS.items()], usual.network),
        "small": dropdown("small batch", SIZES, usual.small),
        "large": dropdown("large batch", SIZES, usual.large),
        "lr": dropdown("rate", [3e-4, 1e-3, 3e-3, 1e-2], usual.lr),
        "remedy": dropdown("LB's remedy", list(REMEDIES), usual.remedy),
        "epsilon": dropdown("epsilon", [1e-4, 5e-4, 1e-3, 5e-3, 1e-2], usual.epsilon),
        "seed": w.BoundedIntText(description="seed", min=0, max=99, value=usual.seed, style=wide),
    }
    go, stop = w.Button(description="Train both", button_style="primary"), w.Button(description="Stop", disabled=True)
    bar = w.IntProgress(min=0, max=EPOCHS, description="epoch", style=wide)
    words, shown, trials, asked = w.HTML(), w.HTML(), [], threading.Event()

    def changed(trial):
        trials[-1] = trial
        bar.value = list(trial.accuracy.values())[-1][-1][0]
        words.value = html.escape(said(trial))
        if bar.value % 10 == 0 or trial.sharpness:
            shown.value = picture(trials)

    def run():
        trials.append(None)
        try:
            attempt(Choice(**{name: control.value for name, control in controls.items()}), changed, asked.is_set)
        except Stopped:
            trials.pop()
            words.value = "Stopped. This trial is not kept."
        except (ValueError, ArithmeticError) as error:
            trials.pop()
            words.value = html.escape(f"Not possible: {error}")
        finally:
            go.disabled, stop.disabled = False, True

    def start(_):
        asked.clear()
        go.disabled, stop.disabled = True, False
        box.thread = threading.Thread(target=run, daemon=True)
        box.thread.start()

    go.on_click(start)
    stop.on_click(lambda _: asked.set())
    rows = [w.VBox(list(controls.values())[:4]), w.VBox(list(controls.values())[4:])]
    box = w.VBox([w.HBox(rows), w.HBox([go, stop, bar]), words, shown])
    box.controls, box.go, box.stop, box.words, box.shown, box.trials = controls, go, stop, words, shown, trials
    return box
