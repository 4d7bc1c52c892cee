"""Remedies: each against a closed form, an identity, or what it must become at its limit; and what they refuse."""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lbgap import networks, remedies, training
from lbgap.remedies import (
    SAM,
    Adversarial,
    Augmentation,
    Batch,
    Conservative,
    Ghost,
    GradientPenalty,
    Growth,
    Injected,
    Schedule,
    Sharpen,
    Stability,
    Step,
    VarianceTest,
)
from lbgap.remedies.adversarial import fgsm
from lbgap.remedies.augmentation import affine
from lbgap.remedies.sam import at_worst
from lbgap.training import Minimizer, OutOfTime, Run, train

RUN = Run("F1", "tiny-mnist", 64, epochs=2, shrink=8)  # 256 examples; batch norm, no dropout
KINDS = [remedies.REMEDIES[name]() for name in remedies.REMEDIES]


def go(run, **settings) -> Minimizer:
    return train(run, progress=False, **settings)


def of(*chosen, run=RUN, **settings):
    return dataclasses.replace(run, remedies=chosen, **settings)


def same(a, b):
    keys = a.history.keys() & b.history.keys()
    return torch.equal(a.x, b.x) and all(a.history[k] == b.history[k] for k in keys)


class Quadratic(nn.Module):
    """L(x) = 1/2 (x - c)^T H (x - c), whatever the batch, times each example's weight."""

    def __init__(self, H, c, x):
        super().__init__()
        self.H, self.c, self.x = H, c, nn.Parameter(x.clone())

    def forward(self, inputs):
        d = self.x - self.c
        return (d @ self.H @ d / 2).expand(len(inputs))


def step_on(module, optimizer, *chosen, batch_size=8, n=64):
    """A Step whose loss is the mean of what the module gives, in place of the cross-entropy."""
    run = SimpleNamespace(remedies=chosen, batch_size=batch_size)
    data = SimpleNamespace(y_train=torch.zeros(n, dtype=torch.long))
    step = Step(run, module, optimizer, data)
    if not any("loss" in remedies.layers(r) for r in chosen):
        step.loss = lambda batch: ((1 if batch.weights is None else batch.weights) * module(batch.inputs)).mean()
    return step


def quadratic(n=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    A = torch.randn(n, n, generator=g, dtype=torch.float64)
    return (
        A @ A.T + torch.eye(n),
        torch.randn(n, generator=g, dtype=torch.float64),
        torch.randn(n, generator=g, dtype=torch.float64),
    )


ROWS = (
    torch.zeros(8, 1, dtype=torch.float64),
    torch.zeros(8, dtype=torch.long),
)  # inputs and labels that a quadratic ignores


# -------------------------------------------------------------------------------------------- every one of them


@pytest.mark.parametrize("remedy", KINDS, ids=list(remedies.REMEDIES))
def test_each_is_trained_and_travels_in_the_id_and_goes_on_to_the_same_bits(remedy, tmp_path):
    run = of(remedy, epochs=3)
    assert Run(**run.spec) == run and run.id != RUN.id and hash(run)
    assert run.spec["remedies"][0]["name"] in remedies.REMEDIES
    whole, stopped = go(run), []

    def stop(epoch, network):
        if epoch == 2 and not stopped:
            stopped.append(epoch)
            raise OutOfTime

    with pytest.raises(OutOfTime):
        go(run, checkpoint=tmp_path / "run.pt", checkpoint_every=0, on_epoch=stop)
    assert same(whole, go(run, checkpoint=tmp_path / "run.pt"))
    assert len(whole.history["updates"]) == 3 and all(map(math.isfinite, whole.history["train_loss"]))
    assert whole.history["train_loss"][-1] < whole.history["train_loss"][0] + 0.5


def test_the_table_names_every_remedy_and_a_layer_is_taken_once():
    assert {type(r) for r in KINDS} == set(remedies.Remedy.__subclasses__())
    for a, b in itertools.combinations(KINDS, 2):
        both = set(remedies.layers(a)) & set(remedies.layers(b))
        if both:
            with pytest.raises(
                ValueError, match=f"both stand in for the step's {min(both, key=remedies.remedy.LAYERS.index)}"
            ):
                remedies.make([a, b])
        else:
            assert remedies.make([a, b]) == remedies.make([b, a])
    with pytest.raises(ValueError, match="sam and sam both"):
        remedies.make([SAM(), SAM(0.1)])


@pytest.mark.parametrize(
    "words, make",
    {
        "remedy 'sma' is unknown; expected one of augmentation, conservative": lambda: remedies.make({"name": "sma"}),
        "remedy sam has no radius; expected rho": lambda: remedies.make({"name": "sam", "radius": 1}),
        "expected remedies such as": lambda: remedies.make(["sam"]),
        "degrees is -1": lambda: Augmentation(degrees=-1),
        "shift is 2.*at most 1": lambda: Augmentation(shift=2),
        "network is 'F2', whose inputs are no images": lambda: Run("F2", "tiny-timit", 8, remedies=Augmentation()),
        "steps is 0; expected a whole number": lambda: Conservative(steps=0),
        "strength is -1": lambda: Conservative(strength=-1),
        "moments 'new'.*kept, reset": lambda: Conservative(moments="new"),
        "epsilon is -1": lambda: Adversarial(epsilon=-1),
        "share is 2": lambda: Adversarial(share=2),
        "deviation is -1": lambda: Stability(deviation=-1),
        "factor is 0.5; expected a number of at least 1": lambda: Growth(0.5),
        "every is 0": lambda: Growth(every=0),
        "most is 0": lambda: Growth(most=0),
        "every is 1.5": lambda: Growth(every=1.5),
        "theta is 0; expected a number above 0": lambda: VarianceTest(theta=0),
        "examples is 1; .* at least 2": lambda: Ghost(1),
        "network 'mlp' has no batch norm for ghosts": lambda: Run("mlp", "mnist-1k", 8, remedies=Ghost(4)),
        "warmup is -1": lambda: Schedule(warmup=-1),
        "factor is 0;": lambda: Schedule(factor=0),
        "examples is 0": lambda: Injected(0),
        "rho is nan": lambda: SAM(math.nan),
        "rho is -1": lambda: SAM(-1),
        "weight is -1": lambda: GradientPenalty(-1),
        "weight is -2": lambda: Sharpen(weight=-2),
    }.items(),
)
def test_what_makes_no_sense_is_refused_by_name(words, make):
    with pytest.raises(ValueError, match=words):
        make()


# ---------------------------------------------------------------------------------------------------- E.1


@pytest.fixture
def images():
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def moved(images, turn=0.0, across=0.0, down=0.0, mirrored=False):
    fill = lambda v: torch.full((len(images),), float(v))
    return affine(images, fill(turn), fill(across), fill(down), torch.full((len(images),), mirrored))


def test_a_flip_is_the_mirror_image_and_inverts_itself(images):
    assert torch.allclose(moved(images, mirrored=True), images.flip(3), atol=1e-5)
    assert torch.allclose(moved(moved(images, mirrored=True), mirrored=True), images, atol=1e-5)


@pytest.mark.parametrize("right, below", [(3, 0), (0, 5), (-6, 2)])
def test_a_shift_moves_whole_pixels_and_back(images, right, below):
    there = moved(images, across=right / 32, down=below / 32)
    expected = torch.zeros_like(images)
    rows, columns = torch.arange(32), torch.arange(32)
    ok = lambda v: (v >= 0) & (v < 32)
    expected[:, :, ok(rows - below).nonzero(), ok(columns - right).nonzero().T] = images[
        :, :, (rows - below)[ok(rows - below)][:, None], (columns - right)[ok(columns - right)][None]
    ]
    assert torch.allclose(there, expected, atol=1e-4)
    back = moved(there, across=-right / 32, down=-below / 32)
    inside = (..., slice(8, 24), slice(8, 24))
    assert torch.allclose(back[inside], images[inside], atol=1e-4)


def test_a_quarter_turn_is_clockwise_and_four_are_none(images):
    assert torch.allclose(moved(images, turn=math.pi / 2), images.rot90(-1, (2, 3)), atol=1e-4)
    assert torch.allclose(moved(images, turn=2 * math.pi), images, atol=1e-4)


def test_each_image_has_numbers_of_its_own_within_the_bounds():
    one = torch.zeros(400, 1, 33, 33)
    one[..., 16, 16] = 1  # a point in the middle, which turns and flips leave
    out = Augmentation().augmented(one)
    where = lambda dim: (
        (out.sum(1) * torch.arange(33).view(*([-1, 1] if dim == 1 else [1, -1]))).sum((1, 2)) / out.sum((1, 2, 3)) - 16
    )
    for dim in (1, 2):
        assert 5.5 < where(dim).abs().max() <= 0.2 * 33 + 1e-3 and where(dim).std() == pytest.approx(
            0.2 * 33 / 3**0.5, rel=0.15
        )
    assert len(set(where(1).tolist())) > 390
    wide = torch.zeros(400, 1, 33, 33)
    wide[..., 16, 28] = 1  # a point to the right: flips put it left, turns by 10 degrees move it 2.1 up or down
    out = Augmentation(shift=0).augmented(wide)
    left = (out[..., :16].sum((1, 2, 3)) > 0.4).float().mean()
    assert 0.4 < left < 0.6 and (out[..., :13, :].sum() + out[..., 20:, :].sum()) < 1e-3
    assert torch.equal(Augmentation(False, 0, 0).augmented(one), one)


def test_the_memory_format_of_a_batch_is_kept(images):
    last = images.to(memory_format=torch.channels_last)
    assert Augmentation().augmented(last).is_contiguous(memory_format=torch.channels_last)


# ---------------------------------------------------------------------------------------------------- E.2


def test_the_sub_problem_solved_to_convergence_is_the_proximal_point():
    """argmin 1/2 (x - c)^T H (x - c) + s |x - x_k|^2 = (H + 2 s I)^-1 (H c + 2 s x_k)."""
    H, c, x = quadratic()
    module, strength = Quadratic(H, c, x), 0.7
    rate = 1 / (torch.linalg.eigvalsh(H)[-1].item() + 2 * strength)
    step = step_on(module, torch.optim.SGD([module.x], rate), Conservative(steps=2000, strength=strength))
    loss = step(*ROWS)
    expected = torch.linalg.solve(H + 2 * strength * torch.eye(5, dtype=torch.float64), H @ c + 2 * strength * x)
    torch.testing.assert_close(module.x.detach(), expected, atol=1e-10, rtol=0)
    assert loss.item() == pytest.approx(((x - c) @ H @ (x - c) / 2).item())  # where it began
    assert step.updates == 2000


def test_without_a_pull_one_step_is_adam_and_three_are_adam_on_each_batch_three_times():
    assert same(go(RUN), go(of(Conservative(steps=1, strength=0.0))))
    assert not same(go(RUN), go(of(Conservative(steps=3, strength=0.0))))


def test_moments_are_kept_or_begin_anew_with_each_sub_problem():
    H, c, x = quadratic()
    for moments, counted in (("kept", 6), ("reset", 3)):
        module = Quadratic(H, c, x)
        step = step_on(module, torch.optim.Adam([module.x]), Conservative(moments=moments))
        step(*ROWS), step(*ROWS)
        assert step.optimizer.state[module.x]["step"] == counted


# ---------------------------------------------------------------------------------------------------- E.3


def test_fgsm_lowers_a_linear_models_margin_by_epsilon_times_the_one_norm():
    g = torch.Generator().manual_seed(0)
    w, x = torch.randn(20, generator=g, dtype=torch.float64), torch.rand(7, 20, generator=g, dtype=torch.float64)
    y = torch.tensor([1.0, -1, 1, 1, -1, -1, 1], dtype=torch.float64)
    margin = lambda inputs: y * (inputs @ w)
    against = fgsm(lambda inputs: F.softplus(-margin(inputs)).mean(), x, 0.1)
    torch.testing.assert_close(margin(against), margin(x) - 0.1 * w.abs().sum(), atol=1e-12, rtol=0)


def test_adversarial_training_mixes_clean_and_moved_examples_in_the_pixels_range():
    seen = []

    class Probe(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, inputs):
            seen.append(inputs.detach().clone())
            return self.layer(inputs)

    module, inputs, labels = Probe(), torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    step = step_on(module, torch.optim.SGD(module.parameters(), 0.1), Adversarial(epsilon=0.3, share=0.25))
    loss = step.loss(Batch(inputs, labels))
    against = seen[-1]
    assert (0 <= against).all() and (against <= 1).all() and (against - inputs).abs().max() <= 0.3 + 1e-6
    expected = 0.25 * F.cross_entropy(module.layer(inputs), labels) + 0.75 * F.cross_entropy(
        module.layer(against), labels
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert torch.allclose(go(RUN).x, go(of(Adversarial(share=1.0))).x, atol=1e-6)


def test_stability_adds_the_cross_entropy_of_the_two_outputs():
    torch.manual_seed(0)
    module, inputs, labels = nn.Linear(4, 3), torch.rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    step = step_on(module, torch.optim.SGD(module.parameters(), 0.1), Stability(deviation=0.0, strength=0.5))
    p = module(inputs).softmax(1)
    expected = F.cross_entropy(module(inputs), labels) - 0.5 * (p * p.log()).sum(1).mean()  # no noise: the entropy
    assert step.loss(Batch(inputs, labels)).item() == pytest.approx(expected.item(), rel=1e-6)
    noisy = step_on(module, torch.optim.SGD(module.parameters(), 0.1), Stability(deviation=2.0, strength=0.5))
    assert noisy.loss(Batch(inputs, labels)) > expected


def test_stability_moves_the_clean_half_and_the_noisy_one():
    """Logits z and z' that depend on one number each: d/dz of -sum_j p_j log p'_j is p_j (c - log p'_j), c its mean,
    d/dz' is p' - p; and the clean half is the one without noise."""
    torch.manual_seed(0)
    z, also, labels = torch.randn(6, 3).double(), torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 0, 1, 2])
    z.requires_grad_(), also.requires_grad_()
    inputs = torch.zeros(6, 4)
    module = nn.Linear(4, 3)
    step = step_on(module, torch.optim.SGD(module.parameters(), 0.1), Stability(deviation=1.0, strength=0.5))
    step.forward = lambda given: z if torch.equal(given, inputs) else also
    step.loss(Batch(inputs, labels)).backward()
    with torch.no_grad():
        p, q = z.softmax(1), also.softmax(1)
        cross = -(p * q.log()).sum(1, keepdim=True)
        clean = (p - F.one_hot(labels, 3) + 0.5 * p * (-q.log() - cross)) / 6
        noisy = 0.5 * (q - p) / 6
    torch.testing.assert_close(z.grad, clean)
    torch.testing.assert_close(also.grad, noisy)


# ---------------------------------------------------------------------------------------------- section 4


def test_the_batch_grows_by_its_factor_up_to_the_most():
    history = go(of(Growth(2.0, every=2, most=200), run=dataclasses.replace(RUN, batch_size=32, epochs=8))).history
    assert history["batch_size"] == [32, 32, 64, 64, 128, 128, 200, 200]
    assert history["updates"] == [8, 8, 4, 4, 2, 2, 2, 2]
    assert go(of(Growth(10.0, every=1), epochs=3)).history["batch_size"] == [64, 256, 256]  # the whole set


def test_the_variance_test_asks_for_the_noise_scale_over_theta_squared(monkeypatch):
    scales = iter([3.0, 20.0, 10.0, math.inf])
    seen = []
    monkeypatch.setattr(
        remedies.growth,
        "noise_scale",
        lambda f, x, b, seed: seen.append((b, seed)) or SimpleNamespace(value=next(scales)),
    )
    history = go(of(VarianceTest(theta=0.5, most=150), run=dataclasses.replace(RUN, batch_size=16, epochs=5))).history
    assert history["batch_size"] == [16, 16, 80, 80, 150] and seen == [(16, 1), (16, 2), (16, 3), (16, 4)]


def test_the_variance_test_leaves_training_as_it_was():
    assert torch.equal(go(RUN).x, go(of(VarianceTest(most=64))).x)  # nothing to ask
    kept = go(of(VarianceTest(theta=1e6)))  # a test that always passes
    assert kept.history["batch_size"] == [64, 64] and torch.equal(kept.x, go(RUN).x)


# ---------------------------------------------------------------------------------------------- what came after


def test_one_ghost_is_batch_norm_bit_for_bit_and_ghosts_are_small_batches():
    assert same(go(RUN), go(of(Ghost(64)))) and same(go(RUN), go(of(Ghost(5000))))
    network, inputs = networks.build("F1", shrink=8), torch.rand(12, 1, 28, 28)
    step = Step(of(Ghost(5)), network, torch.optim.SGD(network.parameters(), 0.1), None)
    whole = step.forward(inputs)
    parts = [network(inputs[a:b]) for a, b in ((0, 5), (5, 10), (10, 12))]
    assert torch.equal(whole, torch.cat(parts)) and not torch.allclose(whole, network(inputs), atol=1e-3)


def test_the_rate_warms_up_along_a_line_and_falls_in_steps(monkeypatch):
    rates, descend = [], Step.descend
    monkeypatch.setattr(
        Step, "descend", lambda self: rates.append(self.optimizer.param_groups[0]["lr"]) or descend(self)
    )
    go(of(Schedule(warmup=1.5, factor=0.1, every=2), run=dataclasses.replace(RUN, batch_size=128, epochs=4, lr=0.3)))
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3, 0.03, 0.03, 0.03, 0.03])


def test_injected_noise_has_the_covariance_of_a_small_batch():
    """By hand: gradients h_j of 40 examples, batches of 10. Sigma (1/10 - 1/40) is added, in every direction alike."""
    g = torch.Generator().manual_seed(0)
    h = torch.randn(40, 3, generator=g) * torch.tensor([1.0, 2.0, 0.5]) + 1
    drawn = torch.stack([(Injected(10).weights(None, torch.zeros(40)) @ h) / 40 for _ in range(8000)])
    torch.testing.assert_close(drawn.mean(0), h.mean(0), atol=0.02, rtol=0)
    expected = torch.cov(h.T, correction=0) * (1 / 10 - 1 / 40)
    torch.testing.assert_close(torch.cov(drawn.T), expected, atol=0.01, rtol=0.08)
    assert Injected(64).weights(None, torch.zeros(64)) is None and torch.equal(go(RUN).x, go(of(Injected(64))).x)


def test_sam_with_no_radius_is_the_optimiser_bit_for_bit():
    assert torch.equal(go(RUN).x, go(of(SAM(rho=0.0))).x)
    assert torch.equal(go(RUN).x, go(of(Sharpen(weight=0.0))).x)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sam_takes_the_gradient_at_the_worst_point_and_comes_back(adaptive):
    """On a quadratic: g = H (x - c), the point x + rho s^2 g / |s g|, the gradient there H (point - c)."""
    H, c, x = quadratic()
    module = Quadratic(H, c, x)
    step = step_on(module, torch.optim.SGD([module.x], 0.1), SAM(0.3, adaptive=adaptive))
    loss = step.gradient(Batch(*ROWS))
    g, s = H @ (x - c), x.abs() + 0.01 if adaptive else torch.ones(5, dtype=torch.float64)
    worst = x + 0.3 * s**2 * g / (s * g).norm()
    torch.testing.assert_close(module.x.grad, H @ (worst - c), atol=1e-9, rtol=0)
    assert torch.equal(module.x.detach(), x) and loss.item() == pytest.approx(((x - c) @ g / 2).item())


def test_sam_perturbs_each_part_of_the_batch_by_its_own_gradient():
    torch.manual_seed(0)
    inputs, labels = torch.rand(7, 4), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    module = nn.Linear(4, 3)
    run = SimpleNamespace(remedies=(SAM(0.5, examples=4),), batch_size=7)
    Step(run, module, torch.optim.SGD(module.parameters(), 0.1), None).gradient(Batch(inputs, labels))
    found = [p.grad.clone() for p in module.parameters()]
    expected = [torch.zeros_like(p) for p in module.parameters()]
    for part in (slice(0, 4), slice(4, 7)):
        other = nn.Linear(4, 3)
        other.load_state_dict(module.state_dict())
        g = torch.autograd.grad(F.cross_entropy(other(inputs[part]), labels[part]), list(other.parameters()))
        norm = sum((t**2).sum() for t in g).sqrt()
        with torch.no_grad():
            for p, t in zip(other.parameters(), g):
                p += 0.5 * t / norm
        there = torch.autograd.grad(F.cross_entropy(other(inputs[part]), labels[part]), list(other.parameters()))
        expected = [e + len(labels[part]) / 7 * t for e, t in zip(expected, there)]
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_sharpen_minimises_the_loss_less_the_logarithm_of_the_loss_beside_it():
    """Of L - w log L(x + e), e held fixed as in SAM, the gradient is g - w H (x + e - c) / L(x + e)."""
    H, c, x = quadratic()
    module = Quadratic(H, c, x)
    step = step_on(module, torch.optim.SGD([module.x], 0.1), Sharpen(0.3, 0.2))
    step.gradient(Batch(*ROWS))
    g = H @ (x - c)
    worst = x + 0.3 * g / g.norm()
    high = (worst - c) @ H @ (worst - c) / 2
    torch.testing.assert_close(module.x.grad, g - 0.2 * H @ (worst - c) / high, atol=1e-9, rtol=0)
    assert at_worst(step, Batch(*ROWS), 0.0)[0] == pytest.approx(((x - c) @ g / 2).item())


def test_the_penaltys_gradient_is_that_of_the_squared_gradient_norm():
    """Of L + w/2 |H (x - c)|^2 it is H (x - c) + w H^2 (x - c)."""
    H, c, x = quadratic()
    module = Quadratic(H, c, x)
    step_on(module, torch.optim.SGD([module.x], 0.1), GradientPenalty(0.2)).gradient(Batch(*ROWS))
    g = H @ (x - c)
    torch.testing.assert_close(module.x.grad, g + 0.2 * H @ g, atol=1e-9, rtol=0)
    assert torch.allclose(go(RUN).x, go(of(GradientPenalty(0.0))).x, atol=1e-6)


def test_weights_and_parts_go_through_every_loss():
    """SAM, ghosts and injected noise together: each part of SAM sees its own examples' weights."""
    batch = Batch(torch.rand(5, 2), torch.arange(5), torch.arange(5.0))
    parts = batch.split(3)
    assert [p.labels.tolist() for p in parts] == [[0, 1, 2], [3, 4]] and parts[1].weights.tolist() == [3, 4]
    assert go(of(SAM(0.05, 16), Ghost(16), Injected(16), Augmentation())).history["updates"] == [4, 4]


def test_training_stops_at_a_value_of_f():
    whole = go(dataclasses.replace(RUN, epochs=30)).history["train_loss"]
    found = go(dataclasses.replace(RUN, epochs=30, stop_f=whole[4] * 1.001)).history["train_loss"]
    assert found == whole[: len(found)] and found[-1] < whole[4] * 1.001 <= min(found[:-1])


def test_a_plain_run_records_what_it_always_did():
    assert {"batch_size", "updates"}.isdisjoint(go(RUN).history)
    assert training.Step is Step
