"""Training: the same bits again, also after a kill; the first step in closed form; when it stops, and what it
refuses."""

import dataclasses
import hashlib
import inspect
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT

import lbgap
from lbgap import data, networks, remedies, training
from lbgap.campaign import measurements, scales
from lbgap.objective import Objective, flat
from lbgap.training import Minimizer, OutOfTime, Run, measure, train


def tiny(shape=(1, 28, 28), n=60, test=20):
    """A data set of random images."""
    g = torch.Generator().manual_seed(0)
    draw = lambda k: (torch.rand(k, *shape, generator=g), torch.arange(k) % 10)
    return data.Data("tiny", *draw(n), *draw(test), 10, "no checksum")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Every data set is a few random images: nothing here needs a real one."""
    sets = {}
    load = lambda name, *_: sets.setdefault(name, tiny((3, 32, 32), 24, 8) if "cifar" in name else tiny())
    monkeypatch.setattr(data, "load", load)


MLP = Run("mlp", "mnist-1k", 16, epochs=4)
DROPOUT = Run("C1", "cifar10", 8, variant="text", epochs=4)


def go(run, **settings):
    return train(run, progress=False, **settings)


def same(a, b):
    """Whether two minimisers are the same, bit for bit."""
    return (
        torch.equal(a.x, b.x)
        and a.history == b.history
        and a.diverged == b.diverged
        and a.buffers.keys() == b.buffers.keys()
        and all(torch.equal(v, b.buffers[k]) for k, v in a.buffers.items())
    )


# ------------------------------------------------------------------------------------------------------------- Run


def test_an_id_never_changes():
    """These are literal: a stored document of years ago must be found again."""
    assert Run("F1", "mnist", 256, seed=0).id == "f20eb39302c6a143de43c383"
    text = b'{"batch_size":256,"dataset":"mnist","init_seed":0,"network":"F1","order_seed":0}'
    assert hashlib.sha256(text).hexdigest()[:24] == "f20eb39302c6a143de43c383"
    other = Run(
        "C1",
        "cifar10",
        5000,
        seed=3,
        variant="text",
        optimizer="sgd",
        lr=0.1,
        momentum=0.8,
        weight_decay=5e-4,
        epochs=300,
        patience=10,
        stop_loss=1e-3,
        precision="bf16",
        label_noise=0.2,
        noise_seed=1,
        order_seed=7,
    )
    assert other.id == "cc04ebf28b483950e35cb7b0"


def test_the_spec_has_what_must_be_told_and_what_differs_and_makes_the_run_again():
    run = Run("F1", "mnist", 256, seed=2, lr=0.01)
    assert run.spec == {
        "network": "F1",
        "dataset": "mnist",
        "batch_size": 256,
        "init_seed": 2,
        "order_seed": 2,
        "lr": 0.01,
    }
    assert Run(**json.loads(json.dumps(run.spec))) == run


def test_a_seed_is_both_seeds_unless_they_are_given():
    assert Run("F1", "mnist", 256, seed=4) == Run("F1", "mnist", 256, init_seed=4, order_seed=4)
    assert Run("F1", "mnist", 256, seed=4).id == Run("F1", "mnist", 256, init_seed=4, order_seed=4).id
    mixed = Run("F1", "mnist", 256, seed=4, order_seed=5)
    assert (mixed.init_seed, mixed.order_seed) == (4, 5)


def test_every_field_changes_the_id():
    base = Run("F1", "mnist", 256)
    other = dict(
        network="mlp",
        dataset="mnist-5k",
        batch_size=5,
        variant="text",
        init="he",
        optimizer="sgd",
        precision="tf32",
        lr=0.5,
        beta1=0.5,
        beta2=0.5,
        adam_epsilon=0.5,
        momentum=0.5,
        weight_decay=0.5,
        epochs=5,
        patience=5,
        stop_loss=0.5,
        label_noise=0.5,
        noise_seed=5,
        init_seed=5,
        order_seed=5,
        activation="tanh",
        dropout=False,
        shrink=8,
        lr_end=0.0,
        start=dataclasses.replace(base, epochs=7),
        carry=True,
        stop_f=0.5,
        stop_epochs=5,
        remedies=(remedies.SAM(),),
    )
    assert other.keys() == {f.name for f in dataclasses.fields(Run)}
    ids = {
        dataclasses.replace(base, **{k: v}, **({"start": base} if k == "carry" else {})).id for k, v in other.items()
    }
    assert len(ids) == len(other) and base.id not in ids


@pytest.mark.parametrize(
    "words, settings",
    {
        "network 'F9'.*F1": dict(network="F9"),
        "dataset 'mnits'.*mnist": dict(dataset="mnits"),
        "variant 'book'": dict(variant="book"),
        "init 'zero'": dict(init="zero"),
        "optimizer 'lion'.*adagrad": dict(optimizer="lion"),
        "precision 'fp8'.*bf16": dict(precision="fp8"),
        "batch_size is 0": dict(batch_size=0),
        "epochs is -1": dict(epochs=-1),
        "lr is 0": dict(lr=0),
        "lr is nan": dict(lr=math.nan),
        "patience is 0": dict(patience=0),
        "stop_loss is 0": dict(stop_loss=0),
        "label_noise is 1": dict(label_noise=1),
        "activation 'gelu'.*tanh": dict(activation="gelu"),
        "shrink 3.*8": dict(shrink=3),
        "lr_end is -1": dict(lr_end=-1),
        "carry is True, but there is no start": dict(carry=True),
        "network is 'F1'.*starts from has 'mlp'": dict(start=Run("mlp", "mnist", 8)),
        "optimizer is 'sgd'.*starts from has 'adam'": dict(start=Run("F1", "mnist", 8), optimizer="sgd", carry=True),
    }.items(),
)
def test_a_run_that_makes_no_sense_is_refused_by_name(words, settings):
    with pytest.raises(ValueError, match=words):
        Run(**{"network": "F1", "dataset": "mnist", "batch_size": 256, **settings})


def test_a_batch_larger_than_the_data_set_is_refused():
    assert go(dataclasses.replace(MLP, batch_size=60, epochs=1))
    with pytest.raises(ValueError, match="batch_size is 61; expected at most 60, all of mnist-1k"):
        go(dataclasses.replace(MLP, batch_size=61))


# ------------------------------------------------------------------------------------------------------ what is done


def first_step(optimizer, **settings):
    """(x0, x1, gradient at x0) of one step with the whole set as batch; the gradient without lbgap's objective."""
    run = Run("mlp", "mnist-1k", 60, epochs=1, optimizer=optimizer, **settings)
    network = networks.build("mlp", seed=0)
    x0, d = flat(network.parameters()), tiny()
    F.cross_entropy(network(d.x_train), d.y_train).backward()
    return x0, go(run).x, flat([p.grad for p in network.parameters()])


def test_the_first_step_of_adam_is_the_rate_times_the_gradients_sign():
    """Kingma and Ba: with both moments corrected for their bias it is lr g / (|g| + epsilon)."""
    x0, x1, g = first_step("adam", lr=0.01)
    torch.testing.assert_close(x1, x0 - 0.01 * g / (g.abs() + 1e-8), atol=1e-5, rtol=0)
    large = g.abs() > 1e-5
    assert large.sum() > 10_000
    torch.testing.assert_close((x1 - x0)[large], -0.01 * g.sign()[large], atol=2e-5, rtol=0)


def test_the_second_step_of_adam_has_the_moments_of_both_gradients():
    settings = dict(lr=0.01, beta1=0.6, beta2=0.9, adam_epsilon=1e-3)
    _, x1, g1 = first_step("adam", **settings)
    x2 = go(Run("mlp", "mnist-1k", 60, epochs=2, **settings)).x
    network, d = networks.build("mlp"), tiny()
    torch.nn.utils.vector_to_parameters(x1, network.parameters())
    F.cross_entropy(network(d.x_train), d.y_train).backward()
    g2 = flat([p.grad for p in network.parameters()])
    mean = (0.6 * 0.4 * g1 + 0.4 * g2) / (1 - 0.6**2)
    square = (0.9 * 0.1 * g1**2 + 0.1 * g2**2) / (1 - 0.9**2)
    torch.testing.assert_close(x2, x1 - 0.01 * mean / (square.sqrt() + 1e-3), atol=1e-6, rtol=0)


def test_the_preconditioner_is_what_adam_divides_by_at_its_last_step():
    settings = dict(lr=0.01, beta1=0.6, beta2=0.9, adam_epsilon=1e-3)
    _, x1, g1 = first_step("adam", **settings)
    network, d = networks.build("mlp"), tiny()
    torch.nn.utils.vector_to_parameters(x1, network.parameters())
    F.cross_entropy(network(d.x_train), d.y_train).backward()
    g2 = flat([p.grad for p in network.parameters()])
    square = (0.9 * 0.1 * g1**2 + 0.1 * g2**2) / (1 - 0.9**2)
    two = go(Run("mlp", "mnist-1k", 60, epochs=2, **settings))
    torch.testing.assert_close(two.preconditioner, square.sqrt() + 1e-3, atol=1e-6, rtol=1e-5)
    assert go(Run("mlp", "mnist-1k", 60, epochs=1, optimizer="sgd")).preconditioner is None


def test_the_first_steps_of_sgd_and_adagrad_and_weight_decay():
    x0, x1, g = first_step("sgd", lr=0.1)
    torch.testing.assert_close(x1, x0 - 0.1 * g, atol=1e-7, rtol=0)
    x0, x1, g = first_step("sgd", lr=0.1, weight_decay=0.01)
    torch.testing.assert_close(x1, x0 - 0.1 * (g + 0.01 * x0), atol=1e-7, rtol=0)
    x0, x1, g = first_step("adagrad", lr=0.01)
    torch.testing.assert_close(x1, x0 - 0.01 * g / (g.abs() + 1e-10), atol=2e-7, rtol=0)


@pytest.mark.parametrize(
    "count, size, expected",
    [(10, 5, [5, 5]), (12, 5, [5, 5, 2]), (11, 5, [5, 6]), (6, 5, [6]), (1, 5, [1]), (5, 5, [5]), (3, 1, [1, 2])],
)
def test_a_rest_of_one_joins_the_batch_before_it(count, size, expected):
    permutation = torch.randperm(count)
    parts = training.batches(permutation, size)
    assert [len(p) for p in parts] == expected
    assert torch.equal(torch.cat(parts), permutation)


def test_each_epoch_visits_every_example_once_in_another_order(monkeypatch):
    seen, batches = [], training.batches
    monkeypatch.setattr(training, "batches", lambda p, size: seen.append(p.tolist()) or batches(p, size))
    go(MLP), go(dataclasses.replace(MLP, order_seed=1, epochs=1))
    assert all(sorted(p) == list(range(60)) for p in seen)
    assert len(set(map(tuple, seen))) == len(seen) == MLP.epochs + 1


def test_the_history_is_the_objectives_and_the_distance_the_norms():
    points = []
    m = go(
        Run("mlp-bn", "mnist-1k", 16, epochs=3),
        on_epoch=lambda epoch, network: points.append(flat(network.parameters())),
    )
    assert all(len(v) == 3 for v in m.history.values()) and torch.equal(points[-1], m.x)
    x0 = flat(networks.build("mlp-bn", seed=0).parameters())
    for i, x in enumerate(points):
        h = {k: v[i] for k, v in m.history.items()}
        assert h["distance"] == pytest.approx((x - x0).double().norm().item(), rel=1e-9)
        assert (h["train_loss"], h["train_accuracy"]) == pytest.approx(Objective(m).evaluate(x), rel=1e-6)
        assert (h["test_loss"], h["test_accuracy"]) == pytest.approx(
            Objective(m, "test", "recalibrated").evaluate(x), rel=1e-6
        )
    assert m.history["distance"][0] > 0 and m.seconds > 0


def test_the_running_loss_is_the_mean_over_examples():
    """With a rate of nearly nothing the network stands still, and both losses are one; batches of 16, 16, 16, 12."""
    m = go(dataclasses.replace(MLP, lr=1e-12, epochs=1))
    assert m.history["running_loss"][0] == pytest.approx(m.history["train_loss"][0], rel=1e-6)


@pytest.mark.parametrize("training_mode", [True, False])
def test_measuring_leaves_the_network_as_it_was(training_mode):
    network, dataset = networks.build("C1", "text"), tiny((3, 32, 32), 24, 8)
    network(dataset.x_train)  # running statistics that are not the initial ones
    network.train(training_mode)
    before, rng = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    a, b = measure(network, dataset), measure(network, dataset)
    assert a == b and all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert all(m.training is training_mode for m in network.modules())
    assert all(m.momentum == 0.1 for m in networks.batch_norms(network))
    assert all(p.grad is None for p in network.parameters()) and torch.equal(rng, torch.get_rng_state())


def test_the_minimisers_network_has_its_parameters_and_buffers():
    m = go(Run("mlp-bn", "mnist-1k", 16, epochs=2))
    network = m.network()
    assert not network.training and torch.equal(flat(network.parameters()), m.x)
    assert all(torch.equal(b, m.buffers[name]) for name, b in network.named_buffers())
    assert m.buffers["2.num_batches_tracked"] == 2 * 4


def test_bf16_trains_and_rounds_the_training_only():
    run = dataclasses.replace(MLP, precision="bf16")
    m, single = go(run), go(MLP)
    assert m.x.dtype == torch.float32 and not torch.equal(m.x, single.x)
    assert m.history["train_loss"][-1] == pytest.approx(single.history["train_loss"][-1], rel=0.05)
    assert m.history["train_loss"][-1] == pytest.approx(Objective(m)(m.x)[0], rel=1e-6)


def test_tf32_is_switched_off_again():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    go(
        dataclasses.replace(MLP, precision="tf32", epochs=1),
        on_epoch=lambda *_: torch.get_float32_matmul_precision() == "high" or 1 / 0,
    )
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


# ----------------------------------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("run", [MLP, DROPOUT], ids=["mlp", "dropout"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(run):
    rng = torch.get_rng_state()
    first = go(run)
    assert torch.equal(rng, torch.get_rng_state())
    torch.rand(3)
    assert same(first, go(run))
    assert not torch.equal(first.x, go(dataclasses.replace(run, order_seed=1)).x)
    assert not torch.equal(first.x, go(dataclasses.replace(run, init_seed=1)).x)


def test_small_and_large_batch_of_one_seed_start_at_one_point(monkeypatch):
    starts = []
    monkeypatch.setattr(
        training,
        "make_optimizer",
        lambda run, parameters, make=training.make_optimizer: starts.append(flat(parameters)) or make(run, parameters),
    )
    for batch_size, seed in ((4, 3), (60, 3), (60, 4)):
        go(Run("mlp", "mnist-1k", batch_size, seed=seed, epochs=1))
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


class Stopped(Exception):
    pass


def stop_at(epoch):
    def stop(now, network):
        if now == epoch:
            raise Stopped

    return stop


@pytest.mark.parametrize(
    "run",
    [
        MLP,
        DROPOUT,
        dataclasses.replace(MLP, network="mlp-bn", optimizer="sgd"),
        dataclasses.replace(MLP, optimizer="adagrad"),
    ],
    ids=["mlp", "dropout", "sgd", "adagrad"],
)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path, run):
    whole, file = go(run), tmp_path / "work" / "run.pt"
    for epoch in (2, 4):
        with pytest.raises(Stopped):
            go(run, checkpoint=file, checkpoint_every=0, on_epoch=stop_at(epoch))
        torch.rand(5)  # whatever the process does between
    epochs = []
    resumed = go(run, checkpoint=file, on_epoch=lambda epoch, network: epochs.append(epoch))
    assert same(whole, resumed) and epochs == [4]
    assert resumed.seconds > 0
    assert same(whole, go(run, checkpoint=file, on_epoch=stop_at(0)))  # finished: read, not trained


def test_a_run_whose_process_was_killed_goes_on_as_if_it_had_not(tmp_path):
    file = tmp_path / "run.pt"
    script = inspect.getsource(tiny) + textwrap.dedent(f"""
        import os, signal, torch
        from lbgap import data
        from lbgap.training import Run, train
        torch.set_num_threads(1)
        data.load = lambda *a: tiny()
        kill = lambda epoch, network: os.kill(os.getpid(), signal.SIGKILL) if epoch == 3 else None
        train(Run(**{MLP.spec!r}), progress=False, checkpoint={str(file)!r}, checkpoint_every=0, on_epoch=kill)
    """)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    epochs = []
    resumed = go(MLP, checkpoint=file, on_epoch=lambda epoch, network: epochs.append(epoch))
    assert same(go(MLP), resumed) and epochs == [3, 4]


def test_a_kill_while_the_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    file, replace, count = tmp_path / "run.pt", os.replace, []

    def killed(*paths):
        count.append(paths)
        if len(count) == 3:
            raise Stopped
        replace(*paths)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(Stopped):
        go(MLP, checkpoint=file, checkpoint_every=0)
    monkeypatch.undo()
    monkeypatch.setattr(data, "load", lambda *a: tiny())
    assert len(torch.load(file, weights_only=True)["history"]["distance"]) == 2
    assert same(go(MLP), go(MLP, checkpoint=file))


def test_a_checkpoint_is_written_as_often_as_asked_and_at_the_end(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(training, "_save", lambda path, state: written.append(len(state["history"]["distance"])))
    go(MLP, checkpoint=tmp_path / "a", checkpoint_every=1e9)
    assert written == [4]
    go(MLP, checkpoint=tmp_path / "b", checkpoint_every=0)
    assert written == [4, 1, 2, 3, 4]


def test_checkpoints_and_minimisers_are_on_the_disk_before_they_take_their_place(tmp_path, monkeypatch):
    """In the order of the calls: a power cut between the two would else leave an empty file under the name."""
    calls, replace, sync = [], os.replace, os.fsync
    inode = lambda at: os.stat(at).st_ino
    monkeypatch.setattr(os, "fsync", lambda file: calls.append(("on the disk", inode(file))) or sync(file))
    monkeypatch.setattr(os, "replace", lambda a, b: calls.append((b.name, inode(a))) or replace(a, b))
    go(SHORT, checkpoint=tmp_path / "run.pt").save(tmp_path / "m.safetensors")
    assert [what for what, _ in calls] == ["on the disk", "run.pt", "on the disk", "m.safetensors"]
    assert calls[0][1] == calls[1][1] and calls[2][1] == calls[3][1]


def test_a_minimiser_of_which_a_byte_was_changed_is_refused_and_an_older_one_is_read(tmp_path):
    from safetensors.torch import load_file, save_file

    path, m = tmp_path / "m.safetensors", go(dataclasses.replace(SHORT, network="mlp-bn"))
    m.save(path)
    content = path.read_bytes()
    told = int.from_bytes(content[:8], "little")
    for at in (content.index(b"mnist-1k"), content.index(b"train_loss") + 17, 8 + told + 5, len(content) - 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(ValueError, match="m.safetensors is damaged"):
            Minimizer.open(path)
    path.write_bytes(content)
    words = json.loads(content[8 : 8 + told])["__metadata__"]
    save_file(load_file(path), path, {k: v for k, v in words.items() if k != "sha256"})  # as files were before
    assert same(Minimizer.open(path), m)


def flipped(content):
    """One bit of a weight, which torch.load would not notice."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda c: b"", lambda c: c[: len(c) // 2], lambda c: b"<html>", flipped, None, "another's"],
    ids=["empty", "cut", "a page", "a bit", "a folder", "another's"],
)
def test_a_damaged_checkpoint_under_a_runs_own_name_is_set_aside_and_the_one_before_goes_on(tmp_path, capsys, damage):
    file, epochs = tmp_path / f"{MLP.id}.pt", []
    go(SHORT, checkpoint=tmp_path / f"{SHORT.id}.pt")
    other = dataclasses.replace(MLP, lr=0.1) if damage == "another's" else MLP
    go(other, checkpoint=tmp_path / "other.pt")
    content = (tmp_path / "other.pt").read_bytes()
    if damage is None:
        file.mkdir()
    else:
        file.write_bytes(damage(content) if callable(damage) else content)
    m = go(MLP, checkpoint=file, on_epoch=lambda epoch, network: epochs.append(epoch))
    assert same(m, go(MLP)) and epochs == [3, 4]
    (said,) = capsys.readouterr().out.splitlines()
    assert str(file) in said and f"{file.name}.damaged" in said and (tmp_path / f"{file.name}.damaged").exists()
    assert same(m, go(MLP, checkpoint=file, on_epoch=stop_at(0)))  # written anew, and read


def test_another_runs_checkpoint_is_refused(tmp_path):
    go(MLP, checkpoint=tmp_path / "run.pt")
    with pytest.raises(ValueError, match="run.pt belongs to another run.*delete it"):
        go(dataclasses.replace(MLP, lr=0.1), checkpoint=tmp_path / "run.pt")


def test_after_the_deadline_the_checkpoint_is_written_and_the_next_call_goes_on(tmp_path):
    file, sittings = tmp_path / "run.pt", 0
    while True:
        try:
            m = go(MLP, checkpoint=file, checkpoint_every=1e9, deadline=time.monotonic() - 1)
            break
        except OutOfTime as error:
            sittings += 1
            assert f"{sittings} epochs done" in str(error)
    assert sittings == MLP.epochs - 1 and same(m, go(MLP))


# ----------------------------------------------------------------------------------------------------- when it stops


def scripted(monkeypatch, **curves):
    """Train with losses that are read from lists."""
    calls = []
    monkeypatch.setattr(
        training, "_epoch", lambda *a: calls.append(1) or curves.get("running", [1.0] * 99)[len(calls) - 1]
    )
    monkeypatch.setattr(training, "adam_idle", lambda optimizer: 0.0)
    monkeypatch.setattr(
        training,
        "measure",
        lambda *a: {
            "train_loss": curves.get("train", [1.0] * 99)[len(calls) - 1],
            "train_accuracy": 0.0,
            "test_loss": 0.0,
            "test_accuracy": 0.0,
        },
    )
    return calls


@pytest.mark.parametrize(
    "losses, patience, stops",
    [
        ([5, 4, 3, 3, 3, 2], 2, 5),  # 3 again is no improvement
        ([5, 4, 6, 3, 6, 6, 2], 2, 6),  # 6 and 6 after 3
        ([5, 6, 4, 5, 3, 4, 2, 1], 2, 8),  # better at least every second time
        ([5, 5, 1], 1, 2),
        ([5, 4, 3, 2, 1, 0.5], 3, 6),
    ],
)
def test_patience_waits_so_many_epochs_for_an_improvement(monkeypatch, losses, patience, stops):
    calls = scripted(monkeypatch, train=losses)
    m = go(dataclasses.replace(MLP, patience=patience, epochs=len(losses)))
    assert len(calls) == stops and m.history["train_loss"] == losses[:stops]


def test_stop_loss_stops_below_a_mean_running_loss(monkeypatch):
    scripted(monkeypatch, running=[3.0, 0.5, 0.2, 0.1])
    m = go(dataclasses.replace(MLP, stop_loss=0.5))
    assert m.history["running_loss"] == [3.0, 0.5, 0.2]  # 0.5 is not below


@pytest.mark.parametrize("epochs, stops", [(1, 2), (2, 5), (3, 6)])
def test_stop_f_asks_for_so_many_epochs_below_in_a_row(monkeypatch, epochs, stops):
    calls = scripted(monkeypatch, train=[3.0, 0.4, 0.6, 0.4, 0.3, 0.2, 0.1])
    go(dataclasses.replace(MLP, stop_f=0.5, stop_epochs=epochs, epochs=7))
    assert len(calls) == stops


def test_a_dear_run_looks_where_it_is_at_1_2_4_every_fifth_and_the_last(monkeypatch, tmp_path):
    monkeypatch.setattr("lbgap.run.DEAR", 30)
    run = dataclasses.replace(MLP, epochs=13)
    looked = go(run, checkpoint=tmp_path / f"{run.id}.pt", keep=(3,))
    assert (
        looked.history["epoch"] == [1, 2, 3, 4, 5, 10, 13] and looked.epochs == 13
    )  # 3: an iterate is left there, whole
    assert measurements.looked_at(looked, 60)["epoch"] == [1, 2, 4, 5, 10, 13]
    monkeypatch.setattr("lbgap.run.DEAR", 1000)
    always = go(run)
    assert torch.equal(always.x, looked.x)
    assert looked.history["train_loss"] == [always.history["train_loss"][k - 1] for k in looked.history["epoch"]]
    monkeypatch.setattr("lbgap.run.DEAR", 30)
    stops = dict(patience=3), dict(stop_f=1e-9), dict(stop_loss=1e-9)
    assert all(go(dataclasses.replace(run, **rule)).history["epoch"] == list(range(1, 14)) for rule in stops)
    with pytest.raises(Stopped):
        go(run, checkpoint=tmp_path / "cut" / "run.pt", checkpoint_every=0, on_epoch=stop_at(8))
    assert same(
        go(run), go(run, checkpoint=tmp_path / "cut" / "run.pt")
    )  # 7 epochs done, the last look after the fifth


def test_the_updates_of_every_epoch_are_kept_where_f_is_not_measured(monkeypatch):
    monkeypatch.setattr("lbgap.run.DEAR", 30)
    m = go(dataclasses.replace(MLP, epochs=7, remedies=[remedies.Growth(2.0, 3, 60)]))
    assert m.history["epoch"] == [1, 2, 4, 5, 7] and len(m.history["updates"]) == len(m.history["batch_size"]) == 7
    assert measurements.looked_at(m, 60)["updates"] == m.history["updates"]
    assert m.history["updates"] == [-(-60 // size) for size in m.history["batch_size"]]


def test_a_bit_of_x_changes_a_minimisers_checksum():
    m = go(SHORT)
    before = m.checksum
    assert before == go(SHORT).checksum == hashlib.sha256(m.x.numpy().tobytes()).hexdigest()[:16]
    m.x[7] = torch.nextafter(m.x[7], torch.tensor(9.0))
    assert m.checksum != before


def test_the_packaged_pair_is_found_by_its_runs_and_no_other():
    pair = scales.pair("F1", 0)
    assert [training.packaged(of).checksum for of in pair] == [lbgap.minimizer(n).checksum for n in ("F1-SB", "F1-LB")]
    assert training.packaged(pair[0]).epochs == 100 and training.packaged(scales.pair("F1", 1)[0]) is None


def test_epochs_cap_what_patience_allows(monkeypatch):
    calls = scripted(monkeypatch, train=list(range(99, 0, -1)))
    go(dataclasses.replace(MLP, patience=3, epochs=6))
    assert len(calls) == 6


def test_a_run_that_diverges_is_recorded_as_such_and_stays_so(tmp_path):
    run, file = dataclasses.replace(MLP, optimizer="sgd", lr=1e30, epochs=9), tmp_path / "run.pt"
    m = go(run, checkpoint=file)
    assert m.diverged and len(m.history["train_loss"]) < 9
    assert not math.isfinite(m.history["train_loss"][-1])
    again = go(run, checkpoint=file, on_epoch=stop_at(0))
    assert again.diverged and len(again.history["train_loss"]) == len(m.history["train_loss"])
    m.save(tmp_path / "m.safetensors")
    assert Minimizer.open(tmp_path / "m.safetensors").diverged
    assert not go(MLP).diverged


# ------------------------------------------------------------------------------------------------------ save and open


@pytest.mark.parametrize(
    "run", [MLP, dataclasses.replace(MLP, network="mlp-bn", lr=0.01, stop_loss=1e-9)], ids=["mlp", "mlp-bn"]
)
def test_a_saved_minimiser_is_opened_as_it_was(tmp_path, run):
    m = go(run)
    m.save(tmp_path / "m.safetensors")
    again = Minimizer.open(tmp_path / "m.safetensors")
    assert same(m, again) and again.run == run and again.run.id == run.id and again.seconds == m.seconds
    assert Objective(again)(again.x)[0] == Objective(m)(m.x)[0]


def test_a_minimiser_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.safetensors does not exist"):
        Minimizer.open(tmp_path / "nothing.safetensors")


def test_a_seed_that_would_do_nothing_is_refused():
    run = Run("mlp", "mnist-1k", 8, seed=3)
    with pytest.raises(ValueError, match="seed is 5.*init_seed is 3"):
        dataclasses.replace(run, seed=5)


# ------------------------------------------------------------------------- from where another run ended (Figs. 5 and 6)

SHORT = dataclasses.replace(MLP, epochs=2)


def test_a_run_goes_on_from_an_earlier_epoch_of_itself_to_the_same_bits(tmp_path):
    epochs = []
    go(SHORT, checkpoint=tmp_path / f"{SHORT.id}.pt")
    m = go(MLP, checkpoint=tmp_path / f"{MLP.id}.pt", on_epoch=lambda epoch, network: epochs.append(epoch))
    assert epochs[0] == 3 and same(m, go(MLP))
    assert SHORT.trajectory == MLP.trajectory != dataclasses.replace(MLP, lr=0.1).trajectory
    falling = dataclasses.replace(MLP, lr_end=0.0)
    with pytest.raises(ValueError, match="lr_end is 0.0.*constant rate"):
        falling.until(2)
    epochs.clear()
    go(dataclasses.replace(falling, epochs=2), checkpoint=tmp_path / f"{dataclasses.replace(falling, epochs=2).id}.pt")
    go(falling, checkpoint=tmp_path / f"{falling.id}.pt", on_epoch=lambda epoch, network: epochs.append(epoch))
    assert epochs[0] == 1  # the rate of another length: nothing to go on from


def test_a_continued_run_with_carried_moments_and_the_same_order_is_the_longer_run():
    """The oracle is the run that never stopped: two epochs, then more with Adam's state and the same permutations."""
    warm = Run("mlp", "mnist-1k", 60, seed=3, epochs=2, start=Run("mlp", "mnist-1k", 60, seed=3, epochs=2), carry=True)
    long = go(
        Run("mlp", "mnist-1k", 60, seed=3, epochs=4)
    )  # the whole set is one batch, so that order is only rounding
    assert torch.allclose(go(warm).x, long.x, atol=1e-5)
    reset = go(dataclasses.replace(warm, carry=False))
    assert not torch.allclose(reset.x, long.x, atol=1e-5)
    assert reset.history["distance"][-1] < go(warm.start).history["distance"][-1] + 3  # measured from its own start


def test_what_is_carried_is_adams_state_and_no_setting(monkeypatch):
    """Fig. 5's `carried`: the run has a rate, betas, an epsilon and a decay of its own; PyTorch's own Adam, given the
    moments and the count of steps where the other run ended, takes the first step."""
    start = Run("mlp", "mnist-1k", 60, seed=3, epochs=2)
    settings = dict(lr=0.003, beta1=0.8, beta2=0.95, adam_epsilon=1e-3, weight_decay=0.01)
    run = Run("mlp", "mnist-1k", 60, seed=3, epochs=1, start=start, carry=True, **settings)
    ended = training._train(start, training._Sitting("cpu", None, 30, None, False))
    steps, step = [], torch.optim.Adam.step

    def taken(self, *a):
        parameters = self.param_groups[0]["params"]
        steps.append((self.param_groups[0].copy(), [p.grad.clone() for p in parameters]))
        return step(self, *a)

    monkeypatch.setattr(torch.optim.Adam, "step", taken)
    x = go(run).x
    ((group, gradients),) = steps[start.epochs :]  # one step an epoch: `go` trains the start again
    assert {k: group[k] for k in ("lr", "eps", "weight_decay")} == {"lr": 0.003, "eps": 1e-3, "weight_decay": 0.01}
    assert tuple(group["betas"]) == (0.8, 0.95)
    moved = []
    for p, g in zip(ended.network.parameters(), gradients):
        state, p = ended.optimizer.state[p], p.detach()
        k, g = float(state["step"]) + 1, g + 0.01 * p
        m, v = 0.8 * state["exp_avg"] + 0.2 * g, 0.95 * state["exp_avg_sq"] + 0.05 * g * g
        moved.append(p - 0.003 * (m / (1 - 0.8**k)) / ((v / (1 - 0.95**k)).sqrt() + 1e-3))
    assert torch.allclose(x, flat(moved), atol=1e-7)


def test_a_run_with_a_start_resumes_to_the_same_bits_and_uses_the_start_that_lies_there(tmp_path, monkeypatch):
    run = dataclasses.replace(MLP, batch_size=30, epochs=3, start=SHORT, carry=True)
    trained, epoch = [], training._epoch
    monkeypatch.setattr(training, "_epoch", lambda step, *a: trained.append(step.run.id) or epoch(step, *a))
    whole = go(run)
    go(SHORT, checkpoint=tmp_path / f"{SHORT.id}.pt")
    trained.clear()
    file = tmp_path / f"{run.id}.pt"
    with pytest.raises(Stopped):
        go(run, checkpoint=file, checkpoint_every=0, on_epoch=stop_at(2))
    assert same(whole, go(run, checkpoint=file)) and set(trained) == {run.id}


def test_a_run_that_starts_where_another_diverged_says_so():
    broken = Run("mlp", "mnist-1k", 8, epochs=2, optimizer="sgd", lr=1e30)
    with pytest.raises(ArithmeticError, match="diverged"):
        go(dataclasses.replace(broken, lr=0.1, start=broken))


def test_the_rate_falls_along_a_line_to_its_end(monkeypatch):
    """One step of SGD a batch, no momentum: the sizes of the steps over the sizes of the gradients are the rates."""
    rates, step = [], torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self, *a: rates.append(self.param_groups[0]["lr"]) or step(self, *a)
    )
    go(Run("mlp", "mnist-1k", 30, epochs=2, optimizer="sgd", lr=0.1, lr_end=0.02))
    assert rates == pytest.approx([0.1, 0.08, 0.06, 0.04])


def test_the_share_of_idle_coordinates_follows_adams_own_formula():
    p = torch.nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.Adam([p], eps=1e-3)
    p.grad = torch.tensor([0.0, 5e-3, 9e-3, 2e-2])  # after one step sqrt(v) is |g|: three are under 10 epsilon = 1e-2
    optimizer.step()
    assert training.adam_idle(optimizer) == 75
    assert (
        len(go(SHORT).history["adam_idle"]) == 2
        and "adam_idle" not in go(dataclasses.replace(SHORT, optimizer="sgd")).history
    )


def test_a_run_leaves_its_iterates_where_they_are_wanted(tmp_path):
    m = go(MLP, checkpoint=tmp_path / f"{MLP.id}.pt", keep=(2, 4, 9))
    assert {p.name for p in tmp_path.iterdir()} == {f"{MLP.id}.pt", f"{SHORT.id}.pt"}
    assert len(m.history["train_loss"]) == 4
    assert same(go(SHORT, checkpoint=tmp_path / f"{SHORT.id}.pt", on_epoch=stop_at(0)), go(SHORT))  # read, not trained
