"""Every experiment at tiny scale, end to end as on another machine; and the lists at full scale, without computing."""

import dataclasses
import json
import math
import re
import warnings

import pytest
from test_figures import ELSEWHERE

from lbgap import __main__, data, figures, networks, remedies, results, spectrum
from lbgap.campaign import cost, experiments, measurements, order, scales, treatments, units
from lbgap.objective import Objective, flat
from lbgap.training import Minimizer, Run


@pytest.fixture
def tiny_scale(monkeypatch):
    monkeypatch.setenv("LBGAP_SCALE", "tiny")


def documents(store):
    return [results.read(path) for path in results.Store(store, packaged=None).paths()]


# -------------------------------------------------------------------------------------------------- at tiny scale


def test_every_experiment_ran_and_its_results_are_finite(tiny, tiny_scale):
    store = results.Store(tiny.store, packaged=None)
    assert store.verify() == [] and not list((tiny.store / "work").glob("*.error"))
    for name, experiment in experiments.EXPERIMENTS.items():
        cheapest = [n for n in ("F1", "mlp", "wide", "C1-text", "C1", "F2") if n in experiment.networks][:1]
        todo = order.wanted([name], cheapest, [0])
        assert name in ("more_seeds", "fig5_all") or todo  # which have no units at this scale
        assert all(unit in store for unit in todo), name
    assert all(unit in store for unit in order.wanted(["table2", "table3", "fig3"], scales.PAPER, [0]))
    spoken = (
        "table2",
        "table3",
        "table4",
        "fig3",
        "fig4",
        "fig5",
        "fig6",
        "fig7",
        "conservative",
    )  # all that the paper shows of F2
    assert all(unit in store for unit in order.wanted(spoken, ["F2"], [0]))

    def numbers(value):
        return (
            [n for v in (value.values() if isinstance(value, dict) else value) for n in numbers(v)]
            if isinstance(value, (dict, list))
            else [value]
        )

    for document in documents(tiny.store):
        assert document["result"]["diverged"] is False
        assert None not in numbers(document["result"]), units.describe(document["spec"])  # None stands for NaN


def test_every_kind_of_measurement_was_made(tiny):
    assert {d["spec"]["kind"] for d in documents(tiny.store)} == set(measurements.KINDS)


def test_the_results_come_home_in_a_few_files_and_are_merged_once(tiny, tmp_path, capsys, monkeypatch):
    files = list(tiny.out.iterdir())
    assert 1 <= len(files) <= 8 and all(f.stat().st_size < 16e6 for f in files)
    monkeypatch.setenv("LBGAP_RESULTS", str(tmp_path / "home"))
    assert __main__.main(["merge", str(tiny.out)]) == 0
    monkeypatch.setenv("LBGAP_SCALE", "tiny")
    carried = [results.Store(tiny.store).path(unit) for unit in order.wanted(None, ["F1", "wide"], [0, 2])]
    count = len(carried)
    assert f"{count} documents added" in capsys.readouterr().out
    home = {p.name: p.read_bytes() for p in results.Store(tmp_path / "home", packaged=None).paths()}
    assert home == {p.name: p.read_bytes() for p in carried}
    assert __main__.main(["merge", str(tiny.out)]) == 0
    assert f"0 documents added to {tmp_path / 'home'}, {count} were there, 0 refused" in capsys.readouterr().out
    assert documents(tiny.store)[0]["provenance"]["commit"] == "0" * 40  # a folder without git says what it was told
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "results-0.jsonl").write_bytes(files[0].read_bytes().replace(b'"diverged":false', b'"diverged":true', 1))
    assert __main__.main(["merge", str(damaged)]) == 1 and "line 1 is damaged" in capsys.readouterr().out


def test_the_workers_left_nothing_behind_and_a_second_call_finds_nothing_to_do(tiny, tiny_scale):
    assert not [p for p in tiny.store.rglob("*") if re.search(r"\.json\.\d+$|\.pt\.\d+$", p.name)]
    for said in tiny.said:
        assert set(re.findall(r"^\d+ done, (.*)$", said, re.M)) == {"0 failed, 0 left"}, said


def test_the_iterates_of_a_run_share_its_way(tiny, tiny_scale):
    """Figs. 5 and 6: the histories of a run's iterates are the beginnings of its own, bit for bit."""
    store = results.Store(tiny.store, packaged=None)
    small, _ = scales.pair("F1", 0)
    whole = store.get(units.train(small))["result"]["history"]["running_loss"]
    warm = experiments.warm("F1", 0, 1)
    assert warm.start == small.until(1) and warm.batch_size == scales.scale().large["F1"]
    f0 = store.get(units.sharpness(small.until(1)))["result"]["values"][0]["f0"]
    assert f0 == pytest.approx(store.get(units.train(small))["result"]["history"]["train_loss"][0], rel=1e-5)
    assert len(whole) == small.epochs


def test_a_matched_minimiser_is_the_same_function(tiny, tiny_scale):
    store = results.Store(tiny.store, packaged=None)
    small, large = scales.pair("F1", 0)
    found = store.get(units.sharpness(large, match="norms", to=small))["result"]["match"]
    assert found["f_after"] == pytest.approx(found["f_before"], rel=1e-2)
    plain = store.get(units.sharpness(large))["result"]["values"][0]
    assert plain["f0"] == pytest.approx(found["f_before"], rel=1e-5)
    both = [store.get(units.sharpness(a, match="loss", to=b))["result"] for a, b in ((small, large), (large, small))]
    low, high = sorted(r["match"]["f_before"] for r in both)
    for r in both:
        assert "impossible" in r["match"] or r["match"]["f_after"] == pytest.approx(high, rel=1e-4)
        assert ("factor" in r["match"] or "impossible" in r["match"]) == (r["match"].get("f_before") == low)


# -------------------------------------------------------------------------------------------------- at full scale


def test_a_cpu_computes_row_by_row_what_two_cores_can_do_and_nothing_twice(monkeypatch):
    monkeypatch.delenv("LBGAP_SCALE", raising=False)
    rows, first = order.rows(), order.first()
    found = [unit for _, row in rows for unit in row]
    assert first[: len(found)] == found and all(row for _, row in rows)
    assert len({results.content_id(unit) for unit in first}) == len(first)
    assert {results.content_id(u) for u in order.wanted(networks=order.CPU)} <= {results.content_id(u) for u in first}
    printed = scales.pair("C1-text", 0)
    assert found.index(units.train(printed[0])) < found.index(
        units.train(scales.pair("C1-text", 1)[0])
    )  # trial by trial
    assert {units.describe(u).split()[1] for u in rows[0][1]} == set(scales.LABS)
    warm = [u for what, row in rows for u in row if "fig5" in what and u["kind"] == "train" and "carry" not in u["run"]]
    assert len(warm) == 10 + 3  # ten warm starts, three of them with the reverse


def test_the_papers_sizes(monkeypatch):
    monkeypatch.delenv("LBGAP_SCALE", raising=False)
    s = scales.scale()
    assert (s.small, s.large["F1"], s.large["C1"], s.large["F2"]) == (256, 6000, 5000, 72133) and len(s.trials) == 5
    small, large = scales.pair("C1", 3)
    assert small == Run("C1", "cifar10", 256, seed=3) and large == Run("C1", "cifar10", 5000, seed=3)
    for network, sizes in s.sweep.items():
        sizes = {*sizes, s.small, s.large[network]}
        assert len(sizes) >= 12 and 64 in sizes
    assert max(s.sweep["F1"]) == 60000 and max(s.whole["C1"]) == 50000
    assert sorted(s.warm) == list(range(1, 101))


def test_ids_of_stored_documents_are_still_found(monkeypatch):
    """Literal: the packaged laboratory and F1's Table 3 were computed under these ids."""
    monkeypatch.delenv("LBGAP_SCALE", raising=False)
    packaged = results.Store("/nowhere")
    assert all(unit in packaged for unit in order.wanted(["laboratory"]))
    table3 = units.sharpness(scales.pair("F1", 0)[0])
    assert table3 in packaged or any(
        before in packaged for before in results.former(table3)
    )  # until it is measured anew


def test_every_unit_can_be_run_is_listed_once_and_is_stored_as_it_was_asked():
    todo = order.wanted()
    ids = {results.content_id(unit) for unit in todo}
    assert len(ids) == len(todo) > 3000
    for unit in todo[::7]:
        assert unit["kind"] in measurements.KINDS and units.describe(unit) and json.loads(json.dumps(unit)) == unit
        assert all(run.network in networks.NETWORKS for run in units.runs_of(unit))


def test_whole_trials_of_the_core_come_first():
    found = [
        (units.runs_of(unit)[0].init_seed, unit["kind"]) for unit in order.wanted(["table2", "table3", "fig4"], ["F1"])
    ]
    assert [seed for seed, _ in found[:20]] == sorted(seed for seed, _ in found[:20]) and found[4][0] == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((["table9"],), "'table9' is unknown; expected one of laboratory, table2"),
        ((None, ["F9"]), "'F9' has no data set"),
        ((None, ["F2-speech"]), "'F2-speech' has no data set.*F2, C1"),
    ],
)
def test_what_is_not_there_is_told_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        order.wanted(*arguments)


def test_an_unknown_scale_is_told_by_name(monkeypatch):
    monkeypatch.setenv("LBGAP_SCALE", "huge")
    with pytest.raises(ValueError, match="scale 'huge' is unknown.*full, tiny"):
        scales.scale()


def test_half_lives_in_examples():
    """Marek et al.: a memory of the same number of examples, so beta of LB to the power B_SB / B_LB is SB's."""
    small, large = scales.pair("F1", 0)
    both = treatments.half_life("F1", 0, both=True)
    for beta in ("beta1", "beta2"):
        half = lambda run: math.log(0.5) / math.log(getattr(run, beta)) * run.batch_size  # in examples
        assert half(both) == pytest.approx(half(small))
    assert treatments.half_life("F1", 0).beta1 == 0.9


def test_treatments_differ_from_the_papers_runs_in_what_they_try():
    small, large = scales.pair("F1", 1)
    of = lambda name, network="F1": treatments.TREATMENTS[name].run(network, 1)
    for name, treatment in treatments.TREATMENTS.items():
        run = of(name, treatment.networks[0] if "F1" not in treatment.networks else "F1")
        assert run != large and run.id not in (small.id, large.id) and treatment.title and treatment.source, name
        batch = 256 if name in ("growth", "variance_test", "decay") else 5000 if name == "augmentation" else 6000
        assert "F1" not in treatment.networks or (run.batch_size, run.init_seed, run.dataset) == (batch, 1, "mnist"), (
            name
        )
        if treatment.small:
            assert treatment.small(treatment.networks[0], 1).batch_size == scales.sizes(treatment.networks[0])[0]
    assert of("conservative") == dataclasses.replace(
        large, remedies=remedies.Conservative(3, 1e-3)
    )  # as in Appendix E.2
    assert of("sqrt_rate").lr == pytest.approx(1e-3 * (6000 / 256) ** 0.5) and of("linear_rate").lr == pytest.approx(
        6e-3 / 0.256
    )
    assert (
        of("ghost").remedies[0].examples
        == of("injected").remedies[0].examples
        == of("sam_m").remedies[0].examples
        == 256
    )
    assert of("growth").remedies[0] == remedies.Growth(2.0, 10, 6000) and of("switch").start == small.until(20)
    assert of("switch").epochs + 20 == 100 and of("switch").carry and of("switch").batch_size == 6000
    assert of("equal_updates").epochs == round(100 * 6000 / 256)


def test_the_causal_grid_crosses_noise_and_sharpness_at_one_loss():
    cells = treatments.cells("F1-5k", 3)
    assert set(cells) == {(n, s) for n in treatments.NOISE for s in treatments.SHAPE} and len(set(cells.values())) == 12
    assert {(run.stop_f, run.stop_epochs) for run in cells.values()} == {(1e-3, 3)} and {
        run.init_seed for run in cells.values()
    } == {3}
    assert (
        cells["SB", "as it is"] == scales.pair("F1-5k", 3)[0] and cells["LB", "as it is"] == scales.pair("F1-5k", 3)[1]
    )
    assert len(treatments.cells("mlp", 0)) == 9  # no batch norm, no ghosts


def test_settings_are_tried_on_a_split_without_test_images():
    for network in treatments.CHEAP:
        runs = treatments.candidates(network, 0)
        assert {of.dataset for of in runs.values()} == {f"{scales.scale().datasets[network]}-val"}
        for name in treatments.CANDIDATES:
            assert [v for n, arm, v in runs if (n, arm) == (name, "SB")] == [
                v for n, arm, v in runs if (n, arm) == (name, "LB")
            ]


def test_controls_differ_from_the_papers_runs_in_what_they_control():
    small, large = scales.pair("F1", 2)
    settled = experiments.settled(small)
    assert (settled.start, settled.carry, settled.epochs, settled.lr_end) == (small, True, 5, 0.0)
    assert treatments.equal_updates("F1", 2).epochs == round(100 * 6000 / 256)
    a, b = experiments.sisters("F1", 2)["LB, same start"]
    assert a == large and b.init_seed == a.init_seed and b.order_seed != a.order_seed
    carried = experiments.warm_controls("F1", 2, 10)
    assert (
        carried["carried"].carry
        and carried["continued"].batch_size == 256
        and carried["reverse"].start == large.until(10)
    )


# ------------------------------------------------------------------------------------------- every table and figure


def texts(drawn):
    """All the words of a Text or a matplotlib figure."""
    if isinstance(drawn, figures.Text):
        return str(drawn)
    drawn.canvas.draw()
    return "\n".join(t.get_text() for ax in drawn.axes for t in (ax.title, *ax.texts))


@pytest.mark.parametrize("name", figures.ALL)
def test_every_table_and_figure_is_drawn_from_what_was_measured(name, tiny, tiny_scale, monkeypatch):
    monkeypatch.setenv("LBGAP_RESULTS", str(tiny.store))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        words = texts(figures.ALL[name]())
    assert "nan" not in re.findall(r"[a-z]+", words)


@pytest.mark.parametrize("name", figures.ALL)
def test_every_table_and_figure_says_what_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.setenv("LBGAP_RESULTS", str(tmp_path))
    monkeypatch.setenv("LBGAP_SCALE", "tiny")  # nothing of this scale is packaged
    assert name in ELSEWHERE or "not measured yet" in texts(figures.ALL[name]()).lower()


def test_every_claim_is_measured(tiny, monkeypatch):
    monkeypatch.setenv("LBGAP_SCALE", "tiny")
    monkeypatch.setenv("LBGAP_RESULTS", str(tiny.store))
    every = figures.judged_claims()
    missing = {id for id, of in every.items() if not of.cells}
    few = {"correlated", "metric-spectrum", "threshold", "threshold-sharpness", "threshold-others"}
    assert missing <= few | {"noise", "cause"}  # two epochs do not come to the causal grid's loss


def test_there_is_a_table_or_figure_for_every_experiment():
    assert experiments.EXPERIMENTS.keys() <= figures.ALL.keys()
    assert "batch doubles" in str(figures.ALL["growth"]())  # and no other table under a remedy's name


def test_show_prints_a_table_and_draws_a_figure(tiny, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LBGAP_RESULTS", str(tiny.store))
    monkeypatch.setenv("LBGAP_SCALE", "tiny")
    assert __main__.main(["show", "table3"]) == 0 and "| F1 |" in capsys.readouterr().out
    assert __main__.main(["show", "table3", "--networks", "F2"]) == 0
    out = capsys.readouterr().out
    assert "| F2 |" in out and "| F1 |" not in out
    for words, told in (
        (["table3", "--networks", "F7"], "'F7' has no data set"),
        (["noisy_labels", "--networks", "wide"], "networks of its own"),
    ):
        assert __main__.main(["show", *words]) == 2 and told in capsys.readouterr().err
    assert __main__.main(["show", "fig4", "--to", str(tmp_path / "four.png")]) == 0
    assert (tmp_path / "four.png").read_bytes().startswith(b"\x89PNG")


def test_status_lists_every_experiment_with_its_cost(tiny, monkeypatch, capsys):
    monkeypatch.setenv("LBGAP_RESULTS", str(tiny.store))
    monkeypatch.setenv("LBGAP_SCALE", "tiny")
    assert __main__.main(["status", "--networks", "F1", "--trials", "0"]) == 0
    out = capsys.readouterr().out
    for name, experiment in experiments.EXPERIMENTS.items():
        if "F1" in experiment.networks and name not in ("more_seeds", "fig5_all"):  # which have no units at this scale
            assert re.search(rf"^{name} +{re.escape(experiment.title)} +\d+ +0 +0  -$", out, re.M), name


def test_the_hessian_of_a_large_training_set_is_over_ten_thousand_of_its_examples():
    one, lab = scales.run("F1", 256, 0), scales.run("mlp", 32, 0)
    for unit in (units.spectrum, units.directions):
        assert unit(one)["examples"] == 10_000 and "examples" not in unit(lab)
        assert cost.work(unit(one)) < cost.work({k: v for k, v in unit(one).items() if k != "examples"})


def test_the_spectrum_of_few_examples_is_that_of_evenly_spaced_ones():
    images, network = data.load("mnist-1k"), networks.build("mlp")
    on = measurements.Subject([Minimizer(scales.run("mlp", 32, 0), flat(network.parameters()), {}, {})], images)
    assert on.few(None).x_train.equal(images.x_train)
    assert on.few(3).y_train.equal(images.y_train[[0, 333, 666]])
    by_hand = Objective(network, data=(images.x_train[::4], images.y_train[::4]))
    settings = {"probes": 1, "steps": 8, "top": 2}
    found = measurements.spectrum({"examples": 250, **settings}, on)
    assert found["top"] == pytest.approx(spectrum.spectrum(by_hand, by_hand.x, **settings).top, rel=1e-4)
    whole = measurements.spectrum(settings, on)
    assert found["top"] != pytest.approx(whole["top"], rel=1e-3)
