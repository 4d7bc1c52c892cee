"""Twins as a control: measured end to end at tiny scale, and the figure and verdicts against numbers worked out by
hand."""

import numpy as np
import pytest

from lbgap import data, figures, results
from lbgap.campaign import cost, experiments, measurements, order, scales, units
from lbgap.figures import same_function
from lbgap.objective import Objective
from lbgap.results import arrays
from lbgap.training import train


@pytest.fixture
def store(monkeypatch, tmp_path):
    """An empty store, into which a test writes."""
    made = results.Store(tmp_path, packaged=None)
    monkeypatch.setattr(results, "Store", lambda *_: made)
    return made


def put(store, of, value, f0=0.1, epsilons=(1e-3,), unit=units.sharpness, **settings):
    made = unit(of, epsilons, **settings) if unit is units.sharpness else unit(of, **settings)
    store.put(
        made,
        {
            "diverged": False,
            "values": [
                {"epsilon": e, "value": value, "first_order": value * 1e-5 / e, "f0": f0} for e in made["epsilons"]
            ],
        },
        {},
    )


def along(store, network="mlp", trials=2, small=1.0, large=8.0, bend=1.0, adaptive=(0.02, 0.01), drift=0.0):
    """Metric 2.1 of a twin is small (or large) / factor^bend, trial t (1 + t) times that; the adaptive one hardly
    moves."""
    for trial in range(trials):
        for of, value, relative in zip(experiments.ends(network, trial), (small, large), adaptive):
            for c in experiments.TWINS[network]:
                put(store, of, (1 + trial) * value / c**bend, f0=0.1 * (1 + drift * (c == 8)), twin=c)
                put(store, of, (1 + trial) * relative * (1 + 0.01 * (c == 8)), twin=c, offset=0.0)


# ------------------------------------------------------------------------------------------------------------ the units


def test_the_wanted_twins():
    lab, paper = (order.wanted(["twins"], [network]) for network in ("mlp", "F1"))
    assert len(lab) == 5 * 2 * (7 * 2 + 1) and len(paper) == 2 * 3 * 2
    assert {u["run"]["batch_size"] for u in lab} == {8, 1000} and {u["run"]["batch_size"] for u in paper} == {256, 6000}
    assert {u["run"]["init_seed"] for u in paper} == {0}
    assert {u.get("twin") for u in lab} == {None, 1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0}
    there = {of.id for of in units.runs_of(lab[0])}
    plain = units.sharpness(experiments.ends("mlp", 0)[0], (1e-3,))
    passes = 2 * data.examples("mnist-1k")[0] * cost.flops("mlp")  # f before and after
    assert cost.work({**plain, "twin": 2.0}, there) == pytest.approx(cost.work(plain, there) + passes)


@pytest.mark.parametrize("network, exact", [("mlp", True), ("mlp-bn", False)])
def test_a_twin_is_measured_as_the_same_function(network, exact, monkeypatch, tmp_path):
    """Without batch norm, bit for bit in float32 too; with it, but for batch norm's epsilon."""
    monkeypatch.setenv("LBGAP_SCALE", "tiny")
    of = scales.laboratory(network, 32, 0)
    m, dataset = train(of, checkpoint=tmp_path / f"{of.id}.pt", progress=False), data.load(of.dataset)
    f0 = Objective(m, dataset=dataset).evaluate(m.x)[0]
    found = {}
    for c in (1.0, 1 / 8):
        for offset in ({}, {"offset": 0.0}):
            unit = units.sharpness(of, (1e-3,), twin=c, **offset)
            result, told = measurements.compute(unit, tmp_path, progress=False)
            assert result["match"]["f_before"] == f0 and told["data"] == dataset.checksum
            assert result["match"]["f_after"] == (f0 if exact or c == 1 else pytest.approx(f0, rel=0.05))
            found[c, bool(offset)] = result["values"][0]["value"]
    assert found[1 / 8, True] == (found[1.0, True] if exact else pytest.approx(found[1.0, True], rel=0.05))
    assert found[1 / 8, False] > 2 * found[1.0, False] > 2 * found[1.0, True]
    plain, _ = measurements.compute(units.sharpness(of, (1e-3,)), tmp_path, progress=False)
    assert plain["values"][0]["value"] == found[1.0, False] and "match" not in plain


# ----------------------------------------------------------------------------------------------- figure and verdicts


def test_the_slider_has_every_trial_of_either_end_by_the_factor(store):
    """It begins at factor 1; three of five trials are missing, and so is all of mlp-bn."""
    along(store)
    slider = figures.twins_slider(("mlp", "mlp-bn"))
    assert slider.meta["names"] == ["1/8", "1/4", "1/2", "1", "2", "4", "8"] and slider.position == 3
    assert slider.meta["choices"] == ["without batch norm"]
    small, large, relative = (slider.arrays()[key][0] for key in ("Metric 2.1", "Metric 2.1.1", "adaptive sharpness"))
    assert large[:, 0] == pytest.approx(8 / 2.0 ** np.arange(-3, 4)) and np.isnan(large[:, 2:]).all()
    assert list(small[3, :2]) == [1, 2] and relative[3, :2] == pytest.approx([0.02, 0.04])
    assert "Not measured yet" in str(figures.twins_slider("mlp-bn"))


def test_the_verdict_turns_the_ranking_round_by_twins_alone(store):
    """SB runs from 1 / 8 to 8, twice that in the second trial; LB from 1 to 64: SB's sharpest is 8 times LB's
    flattest."""
    along(store, drift=0.02)
    text = str(figures.twins_verdict("mlp"))
    assert (
        "ranking can be turned round.** mlp: with a twin chosen for each, a trial's flatter end comes out 8 times"
        in text
    )
    assert "SB from 0.12 to 16.00, 1.50 ± 0.71 (1.00, 2.00) as found; LB from 1.00 to 128.00" in text
    assert (
        "LB is the sharper in 2 of 2; with a twin chosen for each, the flatter end comes out 8.0 times as sharp" in text
    )
    assert "f moves by 2 % at most, and the adaptive metric by 1 %: SB 0.0300" in text
    assert "LB / SB 0.50 (95 % interval 0.50 to 0.50): LB is the flatter there" in text  # in both trials alike
    put(store, experiments.ends("mlp", 1)[1], 0.1, twin=1.0, offset=0.0)  # and now not
    assert "the trials do not settle an order" in str(figures.twins_verdict("mlp"))


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(bend=0.0), "ranking survives.**"),
        (dict(small=8.0, large=1.0), "LB is the sharper in 0 of 2"),
        (dict(small=8.0, large=1.0), "comes out 8.0 times as sharp"),
        (dict(trials=1), "(no interval): one trial tells no order"),
        (dict(adaptive=(0.0001, 0.1)), "LB is the sharper there"),
        (dict(adaptive=(0.1, 0.0001)), "LB is the flatter there"),
    ],
)
def test_the_verdict_follows_the_numbers(store, settings, words):
    along(store, **settings)
    assert words in str(figures.twins_verdict("mlp"))


def test_a_trial_that_lacks_a_twin_is_not_judged(store):
    along(store, trials=1)
    put(store, experiments.ends("mlp", 1)[0], 1e9, twin=8.0)
    assert "1 trial. Metric" in str(figures.twins_verdict("mlp"))
    assert "Not measured yet" in str(figures.twins_verdict("mlp-bn"))


def test_a_ranking_is_told_by_epsilon(store):
    """Half as sharp in the box that knows the scale, at every epsilon; twice as sharp in the paper's."""
    for trial in range(3):
        for of, value in zip(experiments.ends("mlp", trial), (0.02, 0.01)):
            put(store, of, value * (1 + 0.1 * trial), unit=units.grid, offset=0.0)
            put(store, of, 3 / value * (1 + 0.1 * trial), unit=units.grid)
    relative, paper = (str(figures.at_every_epsilon(same_function.ends("mlp"), **box)) for box in ({"offset": 0.0}, {}))
    assert relative.startswith("**By epsilon: from 1e-05 to 0.05 LB is the flatter.**")
    assert paper.startswith("**By epsilon: from 1e-05 to 0.05 LB is the sharper.**")


def test_three_contrasts_of_the_same_two_functions(store):
    """SB 1 and LB 100 as they were found; LB 20 at SB's norms, SB 4 at LB's."""
    for trial in range(2):
        small, large = scales.pair("F1", trial)
        scale = (1, 1.1)[trial]
        for of, value, to, matched in ((small, 1.0, large, 4.0), (large, 100.0, small, 20.0)):
            put(store, of, value * scale, epsilons=scales.EPSILONS)
            put(store, of, matched * scale, epsilons=scales.EPSILONS, match="norms", to=to)
    text = str(figures.norms_verdict("F1"))
    assert (
        "with the filters of both as long as SB's 20 times, with both as long as LB's 25 times. Verdict: LB is the"
        " sharper at either length.**" in text
    )
    assert (
        "LB is 100 times as sharp as SB" in text and "SB's filter norms, 20 times" in text and "LB's, 25 times" in text
    )
    assert "a factor of 5 or 4" in text


@pytest.mark.parametrize("value, word", [(1.0, "LB is not told from SB"), (0.01, "LB is the flatter")])
def test_a_contrast_that_is_the_norms_is_called_so(store, value, word):
    for trial in range(3):
        small, large = scales.pair("F1", trial)
        for of, plain, to, matched in ((small, 1.0, large, 1.0), (large, 100.0, small, value)):
            put(store, of, plain * (1 + 0.1 * trial), epsilons=scales.EPSILONS)
            put(store, of, matched * (1 + 0.1 * trial), epsilons=scales.EPSILONS, match="norms", to=to)
    assert f"at one length or both, {word}" in str(figures.norms_verdict("F1"))
    assert np.isfinite(arrays.sharpness([scales.pair("F1", 0)[0]], 1e-3)).all()
    assert "open, with one trial" not in str(same_function.norms_verdict("F1"))
