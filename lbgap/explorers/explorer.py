"""What the explorers share: the module they send to the browser, arrays as bytes, the picture for pages without
JavaScript."""

import base64
import io
from collections.abc import Iterable, Sequence
from importlib.resources import files

import numpy as np

from .. import machine

anywidget = machine.needs("anywidget", "plots")
traitlets = machine.needs("traitlets", "plots")

VIEW = "application/vnd.jupyter.widget-view+json"
Values = np.ndarray | Sequence  # numbers, nested as deep as there are axes; NaN where one is missing


def source(*names: str) -> str:
    """The chart kit and the modules `names` as one ES module, which travels once a widget: without indentation and
    without lines that are comments."""
    text = "".join((files(__package__) / part).read_text(encoding="utf-8") for part in ("kit.js", *names))
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def array(name: str, values: Values, shape: tuple[int | str, ...], *, percent: bool = False) -> np.ndarray:
    """What a caller gave as a float64 array of a shape.

    Args:
        name: of the argument, for the message.
        values: what was given; NaN means missing.
        shape: sizes, or a word where any size of at least 1 will do, such as `("arms", 6, "trials")`.
        percent: also require numbers from 0 to 100, and not all of them below 1.

    Raises:
        ValueError: naming the value, what was expected and the remedy.
    """
    expected = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    try:
        out = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        told = f"{name} is not an array of numbers of shape {expected}: {error}"
        raise ValueError(f"{told}; pad missing values with NaN") from None
    fits = out.ndim == len(shape) and all(
        size == want if isinstance(want, int) else size > 0 for size, want in zip(out.shape, shape, strict=True)
    )
    if not fits:
        told = f"{name} has shape {out.shape}; expected {expected}"
        raise ValueError(f"{told}: give every axis, also those of length 1, and pad missing values with NaN")
    if np.isinf(out).any():
        raise ValueError(f"{name} holds an infinite value; expected finite numbers, or NaN where a value is missing")
    if percent and not np.isnan(out).all():
        low, high = np.nanmin(out), np.nanmax(out)
        if low < 0 or high > 100:
            raise ValueError(f"{name} runs from {low:g} to {high:g}; expected percent, from 0 to 100")
        if 0 < high <= 1:
            raise ValueError(f"{name} runs from {low:g} to {high:g}; expected percent: multiply fractions by 100")
    return out


def axis(name: str, values: Values, *, positive: bool = False) -> np.ndarray:
    """What a caller gave as a float64 array (K,) of strictly rising finite numbers.

    Args:
        name: of the argument, for the message.
        values: what was given.
        positive: also require numbers above zero.

    Raises:
        ValueError: for anything else.
    """
    out = array(name, values, ("K",))
    if np.isnan(out).any() or (np.diff(out) <= 0).any():
        raise ValueError(f"{name} is {out.tolist()}; expected strictly rising numbers: sort them, drop repeats and NaN")
    if positive and out[0] <= 0:
        raise ValueError(f"{name} starts at {out[0]:g}; expected positive numbers, since the axis is logarithmic")
    return out


def keys(name: str, given: object, wanted: Iterable[str]) -> None:
    """Raise ValueError unless a mapping has exactly some keys.

    Args:
        name: of the argument, for the message.
        given: the mapping.
        wanted: the keys.
    """
    if not isinstance(given, dict) or set(given) != set(wanted):
        found = sorted(map(str, given)) if isinstance(given, dict) else type(given).__name__
        raise ValueError(f"{name} has {found}; expected a dict with exactly the keys {', '.join(wanted)}")


def human(x: float) -> str:
    """Three significant digits with thousands separators, as in the browser.

    >>> human(1234.5), human(0.012345), human(float("nan"))
    ('1,230', '0.0123', 'not measured')
    """
    if not np.isfinite(x):
        return "not measured"
    size = abs(x)
    if x and not 1e-4 * 0.9995 <= size < 1e6:
        return f"{x:.3g}"
    rounded = float(f"{x:.3g}")
    return f"{rounded:,.0f}" if size >= 100 else np.format_float_positional(rounded, trim="-")


def mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean over the trials that are there, NaN where there is none, without a warning."""
    known = np.isfinite(values)
    total, n = np.where(known, values, 0).sum(axis), known.sum(axis)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


class Explorer(anywidget.AnyWidget):
    """Base of the explorers: `position` is the slider's place, counted from 0; `png()` is the picture, `summary` its
    words.

    Args:
        arrays: name -> array of any shape.
        meta: JSON: labels, and "title".
        summary: one or two sentences that stand for the picture.
        state: first values of the traits.
    """

    _css = (files(__package__) / "kit.css").read_text(encoding="utf-8")
    _ipython_display_ = None  # ipywidgets 7 would show itself by this and leave the picture out

    values = traitlets.Bytes(help="all arrays, float32, little endian, one after the other").tag(sync=True)
    meta = traitlets.Dict(help="labels, and where each array lies in `values`").tag(sync=True)
    position = traitlets.Int(0, min=0, help="the slider's place, counted from 0").tag(sync=True)

    def __init__(self, arrays: dict[str, np.ndarray], meta: dict, summary: str, **state: object):
        where, chunks, start = {}, [], 0
        for name, value in arrays.items():
            where[name] = [start, *value.shape]
            chunks.append(np.ascontiguousarray(value, dtype="<f4").tobytes())
            start += value.size
        self.summary = summary
        self._png = None
        super().__init__(values=b"".join(chunks), meta={**meta, "arrays": where}, **state)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays as the browser gets them: name -> float32 array."""
        flat, where = np.frombuffer(self.values, dtype="<f4"), self.meta["arrays"].items()
        return {name: flat[at:][: int(np.prod(shape))].reshape(shape) for name, (at, *shape) in where}

    def png(self) -> bytes:
        """The picture for LaTeX, GitHub and pages without JavaScript: PNG bytes, drawn by matplotlib when first asked
        for."""
        if self._png is None:
            make = machine.needs("matplotlib.figure", "plots").Figure
            figure = make((6.6, 4.6), dpi=100, facecolor="white", layout="constrained")
            self._draw(figure)
            if self.meta["title"]:
                figure.suptitle(self.meta["title"], fontsize="large")
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", metadata={"Software": None})
            self._png = buffer.getvalue()
        return self._png

    def _draw(self, figure):
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs):
        inherited = getattr(super(), "_repr_mimebundle_", None)  # ipywidgets 7, as in Colab, may have none
        view = {VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.model_id}}
        bundle = inherited(**kwargs) if inherited else view
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = {**data, "image/png": base64.b64encode(self.png()).decode("ascii"), "text/plain": self.summary}
        return data, metadata

    def __repr__(self):
        return self.summary
