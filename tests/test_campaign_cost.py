"""What a unit costs: counts known in closed form, shared ways counted once, nothing for what is stored."""

import dataclasses

import pytest

from lbgap import data, networks, results
from lbgap.campaign import cost, experiments, order, scales, units
from lbgap.training import Run

SB = Run("F1", "mnist", 256)
TFLOP = {
    ("F1", "code"): 0.48,
    ("F2", "code"): 11.7,
    ("C1", "code"): 9.3,
    ("C1", "text"): 0.79,
    ("C2", "code"): 94,
}  # an epoch, measured


@pytest.fixture
def store(tmp_path):
    return results.Store(tmp_path, packaged=None)


def keep(store, *runs):
    """Put their checkpoints there."""
    (store.folder / "work").mkdir(exist_ok=True)
    for of in runs:
        (store.folder / "work" / f"{of.id}.pt").touch()


def stored(store, *done):
    for unit in done:
        store.put(unit, {"diverged": True}, {})


# --------------------------------------------------------------------------------------------------------------- flops


def test_flops_of_a_dense_network_in_closed_form():
    assert cost.flops("F1") == 2 * (784 * 512 + 4 * 512 * 512 + 512 * 10)
    assert cost.flops("F1", shrink=8) == 2 * (784 * 64 + 4 * 64 * 64 + 64 * 10)


def test_flops_of_a_convolution_by_hand():
    # stride 2: 32 x 32 to 16 x 16, pooled to 8 x 8, to 4 x 4, pooled to 2 x 2
    convolutions = 16 * 16 * 64 * 3 * 25 + 4 * 4 * 64 * 64 * 25
    assert cost.flops("C1", "text") == 2 * (convolutions + 256 * 384 + 384 * 192 + 192 * 10)


def test_a_gradient_costs_three_forward_passes_less_the_first_layer_s_inputs():
    assert cost.flops("F1", gradient=True) == 3 * cost.flops("F1") - 2 * 784 * 512


@pytest.mark.parametrize("network, variant", TFLOP)
def test_an_epoch_of_training_is_near_the_measured_table(network, variant):
    count = data.examples("timit" if network == "F2" else "mnist" if network == "F1" else "cifar10")[0]
    assert count * cost.flops(network, variant, gradient=True) / 1e12 == pytest.approx(
        TFLOP[network, variant], rel=0.02
    )


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_every_network_is_counted(network):
    assert 0 < cost.flops(network) < cost.flops(network, gradient=True) <= 3 * cost.flops(network)


@pytest.mark.parametrize("name", [name for name in data.CLASSES if name.startswith(("tiny", "speech-lj"))])
def test_examples_of_a_data_set_are_those_that_it_has(name):
    loaded = data.load(name)
    assert data.examples(name) == (len(loaded.y_train), len(loaded.y_test))


def test_every_data_set_that_can_be_loaded_has_a_size():
    for name in data.CLASSES:
        train, test = data.examples(name)
        assert train >= test > 0 or name == "mnist-1k"
    assert data.examples("mnist-val") == (50000, 10000)


# ---------------------------------------------------------------------------------------------------------------- work


def test_work_of_training_by_hand():
    one = cost.flops("F1")
    epoch = 60000 * cost.flops("F1", gradient=True) + 70000 * one / 5  # every fifth time training looks where it is
    final = 6 * 60000 * one + 4 * 10000 * one
    assert cost.work(units.train(SB)) == pytest.approx(100 * epoch + final)
    assert cost.work(units.train(SB), {SB.id}) == pytest.approx(final)
    always = cost.work(units.train(dataclasses.replace(SB, stop_f=1e-9)))
    assert always == pytest.approx(100 * (epoch + 0.8 * 70000 * one) + final)


def test_work_of_a_path_by_hand():
    unit = units.path(SB, dataclasses.replace(SB, batch_size=6000), "linear")
    there = {of.id for of in units.runs_of(unit)}
    assert cost.work(unit, there) == pytest.approx(25 * 70000 * cost.flops("F1"))
    assert cost.work(unit) == pytest.approx(
        cost.work(unit, there) + 2 * 100 * (60000 * cost.flops("F1", gradient=True) + 70000 * cost.flops("F1") / 5)
    )


def test_sharpness_costs_by_epsilon_solver_and_precision():
    there = {SB.id}
    best = cost.work(units.sharpness(SB), there)
    assert cost.work(units.sharpness(SB, (1e-3,)), there) == pytest.approx(best / 2)
    assert cost.work(units.sharpness(SB, dtype="float64"), there) == pytest.approx(2 * best)
    assert (
        cost.work(units.sharpness(SB, subspace=100), there)
        == best
        < cost.work(units.sharpness(SB, solver="literal"), there)
    )
    gradients = 2 * 8 * 60000 * cost.flops("F1", gradient=True)  # by parts
    assert gradients < best < 1.4 * gradients
    small = dataclasses.replace(SB, dataset="mnist-1k")
    literal, subspace, best = (
        cost.work(units.sharpness(small, **settings), {small.id})
        for settings in ({"solver": "literal"}, {"subspace": 100}, {})
    )
    assert literal < subspace < best


def test_passes_assumed_are_near_the_stored_ones():
    found = {solver: [] for solver in ("by parts", *cost.PASSES)}
    for path in results.Store("/nonexistent").paths():
        if path.parent.name == "sharpness":
            document = results.read(path)
            unit = document["spec"]
            solver = "subspace" if "subspace" in unit else unit.get("solver", "best")
            for v in document["result"].get("values", ()):
                if "passes" in v:  # not told before `best` went by parts
                    found["by parts" if v["passes"] < v["evaluations"] else solver].append(v["passes"])
    for solver, counts in found.items():
        if counts:
            assert {"by parts": cost.BY_PARTS, **cost.PASSES}[solver] == pytest.approx(
                sum(counts) / len(counts), rel=0.3
            ), solver


@pytest.mark.parametrize("scale", ["full", "tiny"])
def test_every_unit_of_every_experiment_has_a_cost(scale, monkeypatch):
    monkeypatch.setenv("LBGAP_SCALE", scale)
    for name, experiment in experiments.EXPERIMENTS.items():
        network = next(n for n in experiment.networks if n in scales.scale().datasets)
        for unit in order.wanted([name], [network])[:4]:
            there = cost.work(unit, {of.id for of in units.runs_of(unit)})
            assert cost.work(unit) > there > 0 or cost.work(unit) == there > 0 and not units.runs_of(unit)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="'rumour' has no cost"):
        cost.work({"kind": "rumour", "run": SB.spec})


# ----------------------------------------------------------------------------------------------------------- projected


def test_costs_add_where_nothing_is_shared(store):
    parts = [units.train(SB), units.path(Run("F1", "mnist", 256, seed=1), Run("F1", "mnist", 256, seed=2), "linear")]
    assert cost.projected(parts, 1e12, store) == pytest.approx(sum(map(cost.work, parts)) / 1e12)
    assert cost.projected(parts, 1e11, store) == pytest.approx(10 * cost.projected(parts, 1e12, store))


def test_a_way_is_trained_once_as_far_as_its_furthest_epoch(store):
    half = SB.until(50)
    measured = cost.work(units.sharpness(half), {half.id})
    both = cost.projected([units.train(SB), units.sharpness(half)], 1, store)
    assert both == pytest.approx(cost.projected([units.train(SB)], 1, store) + measured)
    assert both == cost.projected([units.sharpness(half), units.train(SB)], 1, store)
    # and another order of examples is another way
    other = dataclasses.replace(SB, order_seed=9)
    assert cost.projected([units.train(SB), units.train(other)], 1, store) == 2 * cost.projected(
        [units.train(SB)], 1, store
    )


def test_a_falling_rate_shares_no_way(store):
    short, long = (units.train(dataclasses.replace(SB, lr_end=0.0, epochs=k)) for k in (5, 10))
    assert cost.projected([short, long], 1, store) == pytest.approx(cost.work(short) + cost.work(long))


def test_a_start_is_trained_first(store):
    warm = Run("F1", "mnist", 6000, start=SB.until(10))
    fresh = dataclasses.replace(warm, start=None)
    difference = cost.work(units.train(warm)) - cost.work(units.train(fresh))
    assert difference == pytest.approx((cost.work(units.train(SB)) - cost.work(units.train(SB), {SB.id})) / 10)
    assert cost.work(units.train(warm), {SB.until(10).id}) == pytest.approx(cost.work(units.train(fresh)))
    assert cost.projected([units.train(warm), units.train(SB)], 1, store) == pytest.approx(
        cost.work(units.train(fresh)) + cost.work(units.train(SB))
    )


def test_nothing_costs_when_all_is_stored(store):
    parts = [units.train(SB), units.sharpness(SB)]
    stored(store, *parts)
    assert cost.projected(parts, 1, store) == 0
    assert cost.projected([], 1, store) == 0


def test_a_stored_run_is_trained_again_only_without_its_checkpoint(store):
    parts = [units.train(SB), units.sharpness(SB)]
    stored(store, parts[0])
    assert cost.projected(parts, 1, store) == pytest.approx(cost.work(parts[1]))
    keep(store, SB)
    assert cost.projected(parts, 1, store) == pytest.approx(cost.work(parts[1], {SB.id}))


def test_a_run_goes_on_from_an_earlier_checkpoint(store):
    keep(store, SB.until(60))
    late, early = units.train(SB), units.train(SB.until(60))
    whole, final = cost.work(late), cost.work(late, {SB.id})
    assert cost.projected([late, early], 1, store) == pytest.approx(0.4 * (whole - final) + 2 * final)


def test_a_rate_by_network_and_batch_size(store):
    unit, asked = units.train(SB), []

    def rate(network, batch_size):
        asked.append((network, batch_size))
        return 1e12 if batch_size else 1e11

    final = cost.work(unit, {SB.id})
    assert cost.projected([unit], rate, store) == pytest.approx((cost.work(unit) - final) / 1e12 + final / 1e11)
    assert set(asked) == {("F1", 256), ("F1", None)}


def test_all_units_of_the_reproduction_have_a_cost(store):
    wanted = order.wanted()
    assert len(wanted) > 3000 and all(cost.work(unit) > 0 for unit in wanted[::50])
    whole = cost.projected(wanted, 1e12, store)
    assert max(cost.projected([unit], 1e12, store) for unit in wanted[::50]) < whole < float("inf")


# ----------------------------------------------------------------------------------------------------- rate and clock


def test_the_rate_counts_products_over_the_time_they_took(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(
        cost.time, "perf_counter", lambda: next(clock)
    )  # a second between two looks: one product a second
    assert cost.rate("cpu", 3) == pytest.approx(0.75 * 2 * 5000 * 512 * 512)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0, "0 s"),
        (12.3, "12 s"),
        (89, "89 s"),
        (35 * 60, "35 min"),
        (4.2 * 3600, "4.2 h"),
        (20 * 3600, "20 h"),
        (3 * 86400, "3 days"),
        (1600 * 86400, "1,600 days"),
    ],
)
def test_clock(seconds, words):
    assert cost.clock(seconds) == words
