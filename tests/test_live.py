"""The live laboratory's arithmetic: what trains in the page is what PyTorch trains, and what was stored."""

import json
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from browser import complaints, in_the_page, open_browser
from conftest import ROOT
from scipy import stats

pytest.importorskip("anywidget")
import lbgap  # noqa: E402
from lbgap.explorers import live, oracle  # noqa: E402

HERE = ROOT / "lbgap" / "explorers"
COMPILER = "0.17.1"
LAB = "const given = arguments, all = await digits(), lab = trainer(given[0].plain ? null : bytes(KERNELS), all.pixels, all.labels);"


@pytest.fixture(scope="module")
def browser():
    with open_browser() as driver:
        driver.set_script_timeout(120)
        driver.get("about:blank")
        yield driver
        assert complaints(driver) == []


def setting(**change):
    return oracle.SETTING | {"seed": 3, "batch": 8, "plain": False} | change


def network_of(layers, hidden=oracle.SETTING["hidden"], norm=False):
    """The page's parameters, layer by layer, as lbgap's network."""
    network = oracle.build(0, hidden, norm)
    parts = [m for m in network if sum(1 for _ in m.parameters())]
    with torch.no_grad():
        pairs = (("w", "b"), ("gamma", "beta"))
        given = [(layer[a], layer[b]) for layer in layers for a, b in pairs if a in layer]
        for module, (weight, bias) in zip(parts, given, strict=True):
            outputs = len(module.bias)
            if module.weight.ndim == 2:  # (in, out), out filled up to a multiple of 4
                module.weight.copy_(
                    torch.tensor(weight, dtype=torch.float64).reshape(module.in_features, -1)[:, :outputs].T
                )
            else:
                module.weight.copy_(torch.tensor(weight, dtype=torch.float64))
            module.bias.copy_(torch.tensor(bias, dtype=torch.float64)[:outputs])
    return network


LAYERS = "net.layers.map((l) => Object.fromEntries(['w', 'b', 'gamma', 'beta'].filter((k) => l[k]).map((k) => [k, [...l[k]]])))"


def test_the_images_are_those_of_the_laboratory():
    data = lbgap.load("mnist-1k")
    assert oracle.pack(data) == (HERE / "digits.bin").read_bytes()
    digits = oracle.digits()
    assert torch.equal(digits.y_train, data.y_train) and torch.equal(digits.y_test, data.y_test)
    assert abs(digits.x_test.mean() - data.x_test.mean()) < 1e-3 and digits.x_train.max() == 1


@pytest.mark.skipif(
    not find_spec("ziglang"), reason=f"100 MB: pip install ziglang=={COMPILER} compiles the kernels anew"
)
def test_the_kernels_are_their_source_compiled(tmp_path):
    if version("ziglang") != COMPILER:
        pytest.skip(f"another ziglang than {COMPILER} writes other bytes")
    source = (HERE / "kernels.c").read_text()
    command = " ".join(line[2:].strip(" \\") for line in source.splitlines() if line.startswith("//   "))
    words = command.removeprefix("python ").replace("kernels.wasm", str(tmp_path / "kernels.wasm")).split()
    subprocess.run([sys.executable, *words], check=True, cwd=HERE)
    assert (tmp_path / "kernels.wasm").read_bytes() == (HERE / "kernels.wasm").read_bytes()


def test_start_and_labels_are_the_same_in_the_page(browser):
    body = f"{LAB} const net = lab.build(given[0]); return [{LAYERS}, [...lab.answers(given[0])]];"
    layers, answers = in_the_page(browser, live.module(), body, setting(wrong=0.2))
    for ours, theirs in zip(network_of(layers).parameters(), oracle.build(3).parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert answers == oracle.answers(3, 0.2).tolist()
    assert 0.15 < (oracle.answers(3, 0.2) != oracle.digits().y_train).double().mean() < 0.25


def test_a_start_is_glorots_uniform():
    weight = oracle.build(5)[1].weight.detach().numpy()
    limit = np.sqrt(6 / (196 + 128))
    assert stats.kstest(weight.ravel(), stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.01
    assert not np.array_equal(weight, oracle.build(6)[1].weight.detach().numpy())


@pytest.mark.parametrize(
    "change",
    [
        {"batch": 20},
        {"batch": 1000, "epochs": 50},
        {"batch": 20, "norm": True},
        {"batch": 20, "plain": True},
        {"batch": 20, "wrong": 0.2},
        {"batch": 24},  # the last of an epoch has 16
    ],
)
def test_fifty_steps_give_the_loss_of_pytorch(browser, change):
    given = setting(**{"epochs": 1, "goal": 0} | change)
    assert given["epochs"] * -(-1000 // given["batch"]) >= 42
    body = f"""{LAB} const net = lab.build(given[0]), wanted = lab.answers(given[0]); let last;
        for (last of lab.train(net, wanted, given[0])); return last.loss;"""
    kept = {key: given[key] for key in ("norm", "wrong", "epochs", "goal")}
    _, history = oracle.train(3, given["batch"], **kept)
    assert in_the_page(browser, live.module(), body, given) == pytest.approx(history[-1], rel=1e-10)


@pytest.mark.parametrize("change", [{}, {"batch": 1000, "goal": 0.02}, {"norm": True, "batch": 100, "goal": 0.02}])
def test_the_same_weights_have_the_same_sharpness_and_accuracy(browser, change):
    given = setting(**change)
    body = f"""{LAB} const net = lab.build(given[0]), wanted = lab.answers(given[0]); let last;
        for (last of lab.train(net, wanted, given[0]));
        return [last, lab.accuracy(net, wanted), [0.001, 0.003, 0.005].map((e) => lab.sharpness(net, wanted, e)), {LAYERS}];"""
    last, accuracy, sharp, layers = in_the_page(browser, live.module(), body, given)
    assert last["end"] == "reached" and last["loss"] < given["goal"]
    theirs, wanted = oracle.measure(network_of(layers, norm=given["norm"]), (0.001, 0.003, 0.005))
    assert accuracy == pytest.approx(theirs, rel=1e-12)
    np.testing.assert_allclose(sharp, wanted, rtol=1e-6)


def test_the_stored_pairs_show_gap_and_contrast():
    kept = live.stored()
    assert (
        kept["seeds"] == list(oracle.STORED)
        and kept["setting"] == oracle.SETTING
        and not set(oracle.STORED) & set(range(10))
    )
    assert kept["epsilons"] == list(oracle.EPSILONS) and kept["provenance"]["data"] == oracle.digits().checksum
    gap = np.subtract(kept["small"]["accuracy"], kept["large"]["accuracy"])
    ratio = np.log(np.divide(kept["large"]["sharpness"], kept["small"]["sharpness"]))
    for values in (gap, *ratio.T[1:]):
        assert stats.t.interval(0.95, 9, np.mean(values), stats.sem(values))[0] > 0
    assert max(kept["small"]["f"] + kept["large"]["f"]) < oracle.SETTING["goal"]


def test_the_page_trains_what_was_stored(browser):
    """One pair to its end; benchmarks/live_laboratory.py does all ten."""
    kept, body = (
        live.stored(),
        f"{LAB} let out = {{}}; for (const m of lab.work(given[0], [0.003])) Object.assign(out, m); return out;",
    )
    for side in ("small", "large"):
        out = in_the_page(browser, live.module(), body, setting(seed=100, batch=oracle.SETTING[side]))
        assert out["accuracy"] == pytest.approx(kept[side]["accuracy"][0], abs=0.06)  # two images on the edge
        assert out["sharpness"] == pytest.approx(kept[side]["sharpness"][0][live.FIRST], rel=0.01)


def test_script_and_kernels_are_small():
    module = live.module()
    light = len(module) - len(json.dumps(live.base64.b64encode((HERE / "digits.bin").read_bytes()).decode()))
    assert light < 41_500 and (HERE / "kernels.wasm").stat().st_size < 5_000 and "</script" not in module
