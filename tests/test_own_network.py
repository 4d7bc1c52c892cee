"""A reader's own network, data and loss: right, or refused by name; and what the caller has switched on does not
matter."""

import copy
import itertools
import math
import os
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import lbgap
from lbgap.objective import Objective, flat

N = 30


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


X, Y = drawn(N, 8), torch.arange(N) % 3


def linear(seed=0, classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Linear(8, classes)


def by_torch(network, inputs=X, labels=Y, loss=F.cross_entropy):
    """f and its gradient at the network's own x, by PyTorch alone."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    value = loss(network(inputs), labels)
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return value.item(), flat(torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters))


# ---------------------------------------------------------------------------------------- A. the network is left alone


class Views(nn.Module):
    """Flattens with view, which a channels_last copy cannot."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 4, 3), nn.Linear(64, 3)

    def forward(self, x):
        return self.out(F.relu(self.conv(x)).view(len(x), -1))


class Tokens(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.table, self.out = nn.Embedding(11, 4, **settings), nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(torch.tanh(self.table(tokens)).mean(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 3)

    def forward(self, x):
        q, k, v = self.qkv(x.view(-1, 1, 2, 4)).chunk(3, -1)
        return self.out(F.scaled_dot_product_attention(q, k, v).mean((1, 2)))


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.rnn, self.out = kind(8, 5, num_layers=2, dropout=0.5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.out(self.rnn(x[:, None].repeat(1, 3, 1))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.layer(x[:, None].repeat(1, 3, 1)).mean(1))


def kept(network):
    """A network that has been used, so that it holds tensors of its last forward pass."""
    network.last = []
    network.register_forward_hook(lambda module, _, output: module.last.append(output))
    network(X)
    return network


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyTorch's own advice to use the newer weight_norm
    OLD_NORM = lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(8, 3)))
IMAGES, TOKENS = drawn(N, 3, 6, 6), torch.arange(N * 6).view(N, 6) % 11
NETWORKS = {
    "view": (Views, IMAGES),
    "channels last": (
        lambda: nn.Sequential(nn.Conv2d(3, 3, 6), nn.Flatten()).to(memory_format=torch.channels_last),
        IMAGES,
    ),
    "tokens": (Tokens, TOKENS),
    "int32 tokens": (Tokens, TOKENS.int()),
    "sparse gradients": (lambda: Tokens(sparse=True), TOKENS),
    "weight norm": (OLD_NORM, X),
    "weight norm, parametrized": (lambda: nn.utils.parametrizations.weight_norm(linear()), X),
    "spectral norm": (lambda: nn.Sequential(nn.utils.spectral_norm(nn.Linear(8, 3))).eval(), X),
    "attention": (Attention, X),
    "transformer": (Encoder, X),
    "lstm": (Recurrent, X),
    "gru": (lambda: Recurrent(nn.GRU), X),
    "keeps what it computed": (lambda: kept(linear()), X),
    "group norm": (lambda: nn.Sequential(nn.Linear(8, 6), nn.GroupNorm(2, 6), nn.SiLU(), nn.Linear(6, 3)), X),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", NETWORKS)
def test_any_network_has_its_own_f_gradient_and_hessian(name):
    make, inputs = NETWORKS[name]
    network = make().double()
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    with torch.no_grad():  # as after a step of training
        for p in network.parameters():
            p += 0.3 * drawn(*p.shape, dtype=torch.float64)
    network(inputs).sum().backward()  # weight_norm's weight hangs on a graph now
    network.eval()
    dense = (
        copy.deepcopy(network) if name not in ("weight norm", "spectral norm", "keeps what it computed") else network
    )
    for m in dense.modules():
        m.__dict__.update(sparse=False) if hasattr(m, "sparse") else None
    value, gradient = by_torch(dense, inputs)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    f = Objective(network, data=(inputs, Y))
    assert f.dtype == torch.float64 and f.n == len(f.x) == len(gradient)
    assert f(f.x)[0] == pytest.approx(value, rel=1e-9) and f.evaluate(f.x)[0] == pytest.approx(value, rel=1e-6)
    torch.testing.assert_close(f(f.x)[1], gradient, rtol=1e-6, atol=1e-9)
    v = drawn(f.n, dtype=torch.float64)
    difference = (f(f.x + 1e-6 * v)[1] - f(f.x - 1e-6 * v)[1]) / 2e-6
    torch.testing.assert_close(f.hvp(f.x, v), difference, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(state[k], t) for k, t in network.state_dict().items())


def test_the_precision_is_the_networks_own_and_a_coarse_one_is_told():
    assert Objective(linear(), data=(X.double(), Y)).dtype == torch.float32
    assert Objective(linear().double(), data=(X, Y)).dtype == torch.float64
    for coarse in (torch.bfloat16, torch.float16):
        network = linear().to(coarse)
        with pytest.raises(ValueError, match=f"network is in {coarse}.*dtype=torch.float32"):
            Objective(network, data=(X, Y))
        with pytest.raises(ValueError, match=f"network is in {coarse}"):
            Objective(linear(), data=(X, Y), dtype=coarse)
        assert Objective(network, data=(X, Y), dtype=torch.float32).x.dtype == torch.float32
        assert network.weight.dtype == coarse


class Says(nn.Module):
    """A linear layer, and what is made of its output."""

    def __init__(self, says, classes=3):
        super().__init__()
        self.layer, self.says = linear(classes=classes), says

    def forward(self, x):
        return self.says(self.layer(x))


@pytest.mark.parametrize(
    "words, says",
    {
        "returned a tuple; expected logits": lambda z: (z, z),
        "returned a dict; expected logits": lambda z: {"logits": z},
        r"shape \(8, 1\).*expected logits": lambda z: z[:, :1],
        r"shape \(8,\).*expected logits": lambda z: z[:, 0],
        r"shape \(8, 3, 2\).*expected logits": lambda z: torch.stack([z, z], 2),
        r"shape \(24, 3\).*expected logits": lambda z: z.repeat(3, 1),
        "probabilities.*leave the softmax out": lambda z: z.softmax(1),
        "another answer the second time.*dropout": lambda z: F.dropout(z, 0.5),
        "does not depend on any parameter.*detach": lambda z: z.detach(),
        "does not take inputs of shape .*IndexError": lambda z: z[:, 7],
    }.items(),
)
def test_a_network_of_another_kind_is_told(words, says):
    with pytest.raises(ValueError, match=words):
        Objective(Says(says), data=(X, Y))


def held(network, layer):
    """The network, with a forward that a deep copy shares: it computes with the network itself."""
    whole = network.forward
    network.forward = lambda x: layer(whole(x))
    return network


class Merges(nn.Module):
    """Adds what it learns to a frozen weight when it is evaluated, as some low-rank adapters do."""

    def __init__(self):
        super().__init__()
        self.base, self.more, self.head = linear().requires_grad_(False), linear(1), nn.Linear(3, 3)

    def train(self, mode=True):
        with torch.no_grad():
            self.base.weight += (self.training - mode) * self.more.weight
        return super().train(mode)

    def forward(self, x):
        return self.head(self.base(x) + (self.more(x) if self.training else 0))


class Masked(Encoder):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoder(self.layer, 1)

    def forward(self, x):
        mask = torch.arange(3).expand(len(x), 3) > torch.arange(len(x))[:, None] % 3
        return self.out(self.layer(x[:, None].repeat(1, 3, 1), src_key_padding_mask=mask).mean(1))


@pytest.mark.parametrize("layer", [nn.Identity(), nn.BatchNorm1d(3)])
def test_a_copy_that_still_computes_with_the_original_is_refused_and_the_original_left(layer):
    network = held(nn.Sequential(linear(), nn.BatchNorm1d(3)), layer)
    state = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match="copy computes with parameters of the network itself.*method of its class"):
        Objective(network, data=(X, Y))
    assert all(torch.equal(state[k], t) for k, t in network.state_dict().items())
    assert all(m.training for m in network.modules())
    network = held(nn.Sequential(linear(), nn.BatchNorm1d(3)), lambda z: {"logits": z})  # what is no tensor, too
    state = copy.deepcopy(network.state_dict())
    with pytest.raises(ValueError, match="copy computes with parameters of the network itself"):
        Objective(network, data=(X, Y), loss=lambda z, y: F.cross_entropy(z["logits"], y))
    assert all(torch.equal(state[k], t) for k, t in network.state_dict().items())


def test_what_f_does_not_change_with_is_told():
    with pytest.warns(UserWarning, match=r"change with more.weight \(2 of 4 such.*eval\(\) has merged"):
        f = Objective(Merges(), data=(X, Y))
    assert (f(f.x)[1][:27] == 0).all() and (f(f.x)[1][27:] != 0).any()


def test_what_is_seldom_random_is_refused():
    seldom = Says(lambda z: z if torch.rand(()) > 0.001 else 0 * z)
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="draws random numbers, so f is not a function"):
        Objective(seldom, data=(X, Y))
    assert torch.equal(before, torch.get_rng_state())


def test_a_coarse_part_is_told_too():
    frozen = nn.Sequential(linear().requires_grad_(False).bfloat16(), Says(lambda z: z), nn.Linear(3, 3))
    with pytest.raises(ValueError, match="network is in torch.bfloat16.*dtype=torch.float32"):
        Objective(frozen, data=(X, Y))
    with pytest.raises(ValueError, match="computes in torch.bfloat16.*no autocast"):
        Objective(Says(lambda z: z.bfloat16()), data=(X, Y))
    with pytest.raises(ValueError, match="network is in torch.complex64.*take the parts"):
        Objective(linear().to(torch.complex64), data=(X, Y), dtype=torch.float32)


@pytest.mark.filterwarnings("ignore:.*nested tensor.*")
def test_a_transformer_is_one_function_with_and_without_gradients():
    f = Objective(Masked(), data=(X, Y))
    assert f.evaluate(f.x)[0] == pytest.approx(f(f.x)[0], rel=1e-6)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_compiled_network_is_measured_as_it_is_written():
    network = linear()
    f, g = (Objective(n, data=(X, Y)) for n in (network, torch.compile(network)))
    v = drawn(f.n)
    assert torch.equal(f.x, g.x) and f(f.x)[0] == g(f.x)[0] and torch.equal(f.hvp(f.x, v), g.hvp(f.x, v))


def test_a_recurrent_network_of_its_own_kind_is_in_eval_mode():
    class Dropped(nn.LSTM):
        def forward(self, x):
            return F.dropout(super().forward(x)[0], 0.3, self.training)

    network = nn.Sequential(Dropped(8, 5, batch_first=True), nn.Flatten(), nn.Linear(5, 3))
    f = Objective(network, data=(X[:, None], Y))
    assert f(f.x)[0] == pytest.approx(by_torch(network.eval(), X[:, None])[0], rel=1e-6)


def test_log_probabilities_are_logits_too():
    plain, logs = (Objective(Says(says), data=(X, Y)) for says in (lambda z: z, lambda z: z.log_softmax(1)))
    assert logs(logs.x)[0] == pytest.approx(plain(plain.x)[0], rel=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_networks_that_cannot_be_looked_into_are_told():
    for words, network in {
        "TorchScript": torch.jit.script(nn.Sequential(nn.Linear(8, 3))),
        "lazy layers": nn.LazyLinear(3),
        "cannot be copied": Says(
            type("Held", (), {"__deepcopy__": lambda self, memo: 1 / 0, "__call__": lambda self, z: z})()
        ),
    }.items():
        with pytest.raises(ValueError, match=words):
            Objective(network, data=(X, Y))
    without = nn.Sequential(nn.Linear(8, 3), nn.BatchNorm1d(3, track_running_stats=False))
    for mode in ("frozen", "recalibrated"):
        with pytest.raises(ValueError, match=f"batch_norm is '{mode}'.*no running statistics"):
            Objective(without, data=(X, Y), batch_norm=mode)
    assert Objective(without, data=(X, Y))(flat(without.parameters()))[0] == pytest.approx(
        by_torch(without)[0], rel=1e-6
    )


def test_the_modes_of_single_layers_stay():
    network = nn.Sequential(nn.Linear(8, 3), nn.BatchNorm1d(3), nn.Dropout())
    network[1].eval()
    lbgap.objective.recalibrate(network, X)
    assert [m.training for m in network] == [True, False, True] and network.training


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0] ** 2 * g


class Cut(Cube):
    @staticmethod
    def backward(ctx, g):
        return (3 * ctx.saved_tensors[0] ** 2 * g).detach()


class Once(Cube):
    backward = staticmethod(torch.autograd.function.once_differentiable(Cube.backward))


class Cubes(nn.Module):
    def __init__(self, cube):
        super().__init__()
        self.cube, self.a, self.b = cube, nn.Linear(8, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.b(self.cube(self.a(x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_product_through_a_function_of_ones_own_is_right_or_refused(dtype):
    torch.manual_seed(0)
    plain = Cubes(lambda x: x**3)

    def objective(cube):
        network = copy.deepcopy(plain)
        network.cube = cube
        return Objective(network, data=(X, Y), dtype=dtype)

    f = objective(plain.cube)
    v = drawn(f.n, dtype=dtype)
    torch.testing.assert_close(objective(Cube.apply).hvp(f.x, v), f.hvp(f.x, v))
    for cut in (Cut, Once):
        g = objective(cut.apply)
        assert g(g.x)[0] == pytest.approx(f(f.x)[0])
        for _ in range(2):  # it says so each time
            with pytest.raises(ValueError, match=f"second derivative of {cut.__name__} is not that of"):
                g.hvp(g.x, v)


def test_a_layer_without_a_second_derivative_says_what_still_works():
    network = nn.Sequential(nn.EmbeddingBag(6, 4), nn.Linear(4, 3))
    f = Objective(network, data=(torch.arange(2 * N).view(N, 2) % 6, Y))
    assert lbgap.sharpness(f, f.x, 1e-2).value > 0
    with pytest.raises(ValueError, match="cannot be differentiated twice.*sharpness needs one"):
        f.hvp(f.x, f.x)


# ---------------------------------------------------------------------------------------------- B. x is what trains


class Odd(nn.Module):
    """Frozen, tied, unused and integer parameters beside those that train."""

    def __init__(self):
        super().__init__()
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.tied, self.again, self.out, self.unused = (nn.Linear(8, k) for k in (8, 8, 3, 5))
        self.again.weight = self.tied.weight
        self.codes = nn.Parameter(torch.arange(3), requires_grad=False)

    def forward(self, x):
        return self.out(torch.tanh(self.again(torch.tanh(self.tied(self.frozen(x))))))[:, self.codes]


def test_x_is_what_trains():
    network = Odd().double()
    value, gradient = by_torch(network, X.double())
    f = Objective(network, data=(X, Y))
    assert f.n == 64 + 8 + 8 + 27 + 45  # tied weights once, the unused layer with a gradient of 0
    assert torch.equal(f.x, flat(p for p in network.parameters() if p.requires_grad))
    assert f(f.x)[0] == pytest.approx(value) and torch.allclose(f(f.x)[1], gradient) and (f(f.x)[1][-45:] == 0).all()
    (mini, size), *_ = f.gradients(f.x, N)
    assert size == N and torch.allclose(mini, gradient)
    v = drawn(f.n, dtype=torch.float64)
    difference = (f(f.x + 1e-6 * v)[1] - f(f.x - 1e-6 * v)[1]) / 2e-6
    torch.testing.assert_close(f.hvp(f.x, v), difference, rtol=1e-5, atol=1e-7)
    frozen = network.frozen.weight.clone()
    lbgap.sharpness(f, f.x, 1e-3)
    assert torch.equal(network.frozen.weight, frozen) and torch.equal(f.network.frozen.weight, frozen)


def test_a_frozen_backbone_is_the_head_alone_on_its_features():
    backbone, head = nn.Sequential(nn.Linear(8, 5), nn.Tanh()).requires_grad_(False), nn.Linear(5, 3)
    whole, alone = Objective(nn.Sequential(backbone, head), data=(X, Y)), Objective(head, data=(backbone(X), Y))
    assert whole.n == alone.n == 18
    a, b = (lbgap.sharpness(f, f.x, 1e-2).value for f in (whole, alone))
    assert a == pytest.approx(b, rel=1e-5) and a > 0


def test_a_linear_f_has_no_curvature_and_no_parameters_have_no_x():
    f = Objective(linear(), data=(X, Y), loss=lambda z, y: z.mean())
    assert (f.hvp(f.x, torch.ones(f.n)) == 0).all()
    with pytest.raises(ValueError, match="no parameter that trains"):
        Objective(linear().requires_grad_(False), data=(X, Y))
    for wrong, words in (
        (torch.ones(27, dtype=torch.long), "float tensor"),
        (torch.ones(5), r"\(27,\).*requires_grad.*f.x"),
    ):
        with pytest.raises(ValueError, match=words):
            f(wrong)


# --------------------------------------------------------------------------------- C. data are looked at at the door


class Pairs(Dataset):
    def __init__(self, item=lambda k: (X[k], int(Y[k]))):
        self.item = item

    def __len__(self):
        return N

    def __getitem__(self, k):
        return self.item(k)


OWN = np.random.default_rng(0)  # a generator that a data set may hold


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y))


def test_data_come_as_torch_has_them():
    network, loader = linear(), lambda data, **how: DataLoader(data, 7, **how)
    value, tensors = by_torch(network)[0], TensorDataset(X, Y)
    for given in (
        (X, Y),
        [X.numpy(), Y.numpy()],
        (X.numpy()[::-1][::-1].astype(">f4"), Y.tolist()),
        (X.requires_grad_(), Y),
        tensors,
        Pairs(),
        loader(tensors),
        loader(tensors, shuffle=True, drop_last=True),
        loader(
            Pairs(), collate_fn=lambda items: (torch.stack([x for x, _ in items]), torch.tensor([y for _, y in items]))
        ),
        lbgap.data.own((X, Y)),
    ):
        before = torch.get_rng_state()
        f = Objective(network, data=given)
        assert f(f.x)[0] == pytest.approx(value, rel=1e-6) and f.examples == N and not f.inputs.requires_grad
        assert torch.equal(before, torch.get_rng_state())
        assert Objective(network, dataset=given)(f.x)[0] == f(f.x)[0]
    part = Objective(network, data=loader(tensors, sampler=SubsetRandomSampler(range(10))))
    assert part.examples == 10 and part(part.x)[0] == pytest.approx(by_torch(network, X[:10], Y[:10])[0], rel=1e-6)
    X.requires_grad_(False)
    twice = lambda items: (2 * torch.stack([x for x, _ in items]), torch.tensor([y for _, y in items]))

    class Doubled(TensorDataset):
        def __getitem__(self, k):
            return 2 * self.tensors[0][k], self.tensors[1][k]

    for given in (loader(tensors, collate_fn=twice), Doubled(X, Y), loader(Doubled(X, Y))):
        f = Objective(network, data=given)
        assert f(f.x)[0] == pytest.approx(by_torch(network, 2 * X)[0], rel=1e-6)
    f = Objective(network, "test", data=(X, Y), test=(X[:6], Y[:6]))
    assert f(f.x)[0] == pytest.approx(by_torch(network, X[:6], Y[:6])[0], rel=1e-6)


@pytest.mark.parametrize(
    "words, given",
    {
        "29.*as many of one as of the other": lambda: (X, Y[:-1]),
        "at least one": lambda: (X[:0], Y[:0]),
        "is 3 parts; expected": lambda: (X, Y, Y),
        "is a dict; expected": lambda: {"x": X, "y": Y},
        "is a str; expected": lambda: "mnist",
        "inputs have NaN": lambda: (torch.where(X > 2, math.nan, X), Y),
        "inputs are a list": lambda: ([[1.0, 2.0], [3.0]], Y[:2]),
        "labels are a list.*expected a tensor": lambda: (X[:2], ["cat", "dog"]),
        "Stream without a length": Stream,
        "draws its examples with BatchSampler of _Infinite": lambda: DataLoader(Stream(), 5),
        "3 parts.*of several inputs make one tensor": lambda: (X, X, Y),
        "draws random numbers.*augmentation": lambda: Pairs(lambda k: (X[k] + random.random(), 0)),
        "draws random numbers as": lambda: Pairs(lambda k: (X[k] + torch.rand(8), 0)),
        "draws random numbers": lambda: Pairs(lambda k: (X[k] + np.random.rand(), 0)),
        "each reading has other examples": lambda: Pairs(lambda k: (OWN.random(8), 0)),
        "examples make no batch": lambda: Pairs(lambda k: (object(), 0)),
        "make no batch.*equal size": lambda: Pairs(lambda k: (torch.zeros(k + 1), 0)),
        "data has no examples": lambda: DataLoader(TensorDataset(X[:0], Y[:0]), collate_fn=list),
        "3 parts": lambda: Pairs(lambda k: (X[k], 0, k)),
        "draws its examples with BatchSampler of WeightedRandomSampler": lambda: DataLoader(
            TensorDataset(X, Y), 5, sampler=WeightedRandomSampler([1.0] * N, N)
        ),
        "draws its examples with list": lambda: DataLoader(TensorDataset(X, Y), batch_sampler=[[0, 1], [2]]),
    }.items(),
)
def test_data_of_another_kind_are_refused_by_name(words, given):
    with pytest.raises(ValueError, match=words):
        Objective(linear(), data=given())


def test_missing_and_doubled_data_are_told():
    with pytest.raises(ValueError, match="no test set; expected test="):
        Objective(linear(), "test", data=(X, Y))
    with pytest.raises(ValueError, match="data and dataset are both given"):
        Objective(linear(), data=(X, Y), dataset=(X, Y))


def test_labels_of_every_kind_that_has_one_meaning_are_right():
    network = linear()
    value, accuracy = by_torch(network)[0], 100 * (network(X).argmax(1) == Y).double().mean().item()
    hot = F.one_hot(Y, 3)
    for given in (
        Y.int(),
        Y.to(torch.uint8),
        Y.to(torch.int16),
        Y[:, None],
        hot,
        hot.float(),
        hot.double(),
        hot.bool().numpy(),
    ):
        f = Objective(network, data=(X, given))
        assert f.evaluate(f.x) == pytest.approx((value, accuracy), rel=1e-6) and f.hits(f.x).shape == (N,)
    soft = 0.9 * hot + 0.1 / 3
    f = Objective(network, data=(X, soft.double()))
    assert f.evaluate(f.x) == pytest.approx((F.cross_entropy(network(X), soft).item(), accuracy), rel=1e-5)
    g, h = f(f.x)[1], by_torch(network, X, soft)[1]
    assert torch.allclose(g, h, atol=1e-6) and torch.allclose(next(f.gradients(f.x, N))[0], h, atol=1e-6)
    square = Objective(network, data=(X[:3], hot[:3].float()))  # as many examples as classes
    assert square.accuracy(square.x) == pytest.approx(100 * (network(X[:3]).argmax(1) == Y[:3]).double().mean().item())


@pytest.mark.parametrize(
    "words, labels",
    {
        "go from 1 to 3; expected 0 to 2.*subtract 1": Y + 1,
        "go from -100 to 2.*ignored": torch.where(Y == 1, -100, Y),
        "go from 0 to 7; expected 0 to 2": torch.where(Y == 1, 7, Y),
        "float32.*whole numbers": Y.float(),
        r"float64 of shape \(30, 1\).*whole numbers": Y[:, None].double(),
        "not every row sums to 1.*several labels": torch.ones(N, 3),
        r"\(30, 6, 6\).*one label a pixel": torch.zeros(N, 6, 6).long(),
        r"\(30, 4\).*expected \(N,\)": torch.zeros(N, 4).long(),
    }.items(),
)
def test_labels_with_no_meaning_or_two_are_refused_by_name(words, labels):
    with pytest.raises(ValueError, match=words):
        Objective(linear(), data=(X, labels))


def test_one_label_a_pixel_is_refused_or_measured_by_a_loss():
    network, images = nn.Conv2d(3, 4, 1), drawn(10, 3, 6, 6)
    labels = torch.arange(360).view(10, 6, 6) % 4
    with pytest.raises(ValueError, match=r"shape \(8, 4, 6, 6\).*labels.*pass loss="):
        Objective(network, data=(images, labels))
    f = Objective(network, data=(images, labels), loss=F.cross_entropy, batch_size=4)
    value, gradient = by_torch(network, images, labels)
    assert f.evaluate(f.x) == (pytest.approx(value, rel=1e-6), None) and f.accuracy(f.x) is None
    assert torch.allclose(f(f.x)[1], gradient, atol=1e-6)
    assert lbgap.landscape.linear(f, f.x, 2 * f.x, [0, 1]).accuracy is None
    with pytest.raises(ValueError, match="no accuracy"):
        f.hits(f.x)


def test_another_mean_loss():
    network, target = linear(), drawn(N, 3, seed=1)
    f = Objective(network, data=(X, target.double()), loss=F.mse_loss, batch_size=7)
    value, gradient = by_torch(network, X, target, F.mse_loss)
    assert f(f.x)[0] == pytest.approx(value, rel=1e-6) and torch.allclose(f(f.x)[1], gradient, atol=1e-6)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    f = Objective(network, data=(X, Y), loss=smooth, batch_size=7)
    accuracy = 100 * (network(X).argmax(1) == Y).double().mean().item()
    assert f.evaluate(f.x) == pytest.approx((smooth(network(X), Y).item(), accuracy), rel=1e-6)
    several = lambda z, y: F.cross_entropy(z["logits"], y)  # a network that returns a dict, and a loss that takes it
    f = Objective(Says(lambda z: {"logits": z}), data=(X, Y), loss=several)
    assert f(f.x)[0] == pytest.approx(by_torch(linear())[0], rel=1e-6)


class Named(nn.Sequential):
    """Returns a dict, as many a library's networks do."""

    def forward(self, x):
        return {"logits": super().forward(x)}


@pytest.mark.parametrize("norm", [[], [nn.BatchNorm1d(3)]])
@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(reduction="sum"), nn.CrossEntropyLoss(ignore_index=0)])
def test_the_loss_of_an_output_that_is_no_tensor_is_looked_at_too(norm, loss):
    smooth = lambda z, y: F.cross_entropy(z["logits"], y, label_smoothing=0.1)
    assert Objective(Named(linear(), *norm), data=(X, Y), loss=smooth).examples == N
    if not norm or loss.reduction == "sum":  # with batch norm no example goes alone
        with pytest.raises(ValueError, match="expected a mean over examples: no sum"):
            Objective(Named(linear(), *norm), data=(X, Y), loss=lambda z, y: loss(z["logits"], y))
    with pytest.raises(ValueError, match="draws random numbers"):
        Objective(Named(Says(lambda z: F.dropout(z, 0.5))), data=(X, Y), loss=smooth)


def test_labels_that_are_ignored_or_weighed_are_found_wherever_they_lie():
    ignored = torch.cat([Y[:15], torch.full((15,), -100)])
    with pytest.raises(ValueError, match="no ignored labels"):
        Objective(linear(), data=(X, ignored), loss=nn.CrossEntropyLoss())
    weighed = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5, 10]))
    with pytest.raises(ValueError, match="no class weights"):
        Objective(linear(), data=(X, Y.sort().values), loss=weighed)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=r"\(8, 1\).*\(8,\).*spread to another's"):
        warnings.simplefilter("ignore")
        Objective(nn.Linear(8, 1), data=(X, drawn(N)), loss=F.mse_loss)


@pytest.mark.parametrize(
    "words, loss",
    {
        "mean over examples: no sum": nn.CrossEntropyLoss(reduction="sum"),
        "no class weights": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5, 1])),
        "no ignored labels": nn.CrossEntropyLoss(ignore_index=0),
        "expected one number": nn.CrossEntropyLoss(reduction="none"),
        "loss does not take the network's output": nn.MSELoss(),
    }.items(),
)
def test_a_loss_that_is_no_mean_over_examples_is_refused(words, loss):
    with warnings.catch_warnings(), pytest.raises(ValueError, match=words):
        warnings.simplefilter("ignore")
        Objective(linear(), data=(X, Y if "MSE" not in repr(loss) else F.one_hot(Y, 4)), loss=loss)


def test_class_weights_and_ignored_labels_are_found_where_they_are_rare():
    many = drawn(4000, 8, seed=5)
    rare = (torch.arange(4000) % 400 == 399).long()
    with pytest.raises(ValueError, match="no class weights"):
        Objective(linear(classes=2), data=(many, rare), loss=nn.CrossEntropyLoss(torch.tensor([0.01, 1.0])))
    few = torch.arange(4000)[:, None].repeat(1, 3) % 3
    few[7, 1:] = -100

    class Tokens(nn.Linear):
        def forward(self, x):
            return super().forward(x)[..., None].expand(-1, -1, 3)  # (B, classes, T)

    with pytest.raises(ValueError, match="no ignored labels"):
        Objective(Tokens(8, 3), data=(many, few), loss=F.cross_entropy)


class Joins(nn.Module):
    """What joins the examples of a batch in ways that happen."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.lstm, self.head = kind, nn.LSTM(8, 5, batch_first=kind == "batch_first"), nn.Linear(5, 3)
        self.linear = nn.Linear(8, 3)

    def forward(self, x):  # (B, T, 8)
        if self.kind == "attention":
            z = self.linear(x[:, 0])
            return (z @ z.T).softmax(1) @ z
        if self.kind == "squeeze":
            return self.linear(x[:, 0]).squeeze()
        return self.head(self.lstm(x)[0][:, -1])


@pytest.mark.filterwarnings("ignore:f does not change with")
@pytest.mark.parametrize("kind", ["lstm", "attention"])
def test_a_network_that_joins_the_examples_of_a_batch_is_refused(kind):
    """By PyTorch alone f depends on the batch; of one that does not it is the same in any batch."""
    torch.manual_seed(0)
    S, network, kept = drawn(N, 4, 8), Joins(kind), Joins("batch_first")
    halves = lambda n: sum(F.cross_entropy(n(S[k]), Y[k]).item() for k in (slice(15), slice(15, N))) / 2
    whole = lambda n: F.cross_entropy(n(S), Y).item()
    assert abs(halves(network) - whole(network)) > 1e-5 > abs(halves(kept) - whole(kept))
    with pytest.raises(ValueError, match="depends on the others of its batch.*batch_first"):
        Objective(network, data=(S, Y))
    for n in (kept, Joins("squeeze")):
        assert Objective(n, data=(S, Y)).examples == N


def test_a_diverged_network_is_told_whatever_its_loss():
    network = linear()
    network.weight.data.fill_(math.inf)
    with pytest.raises(ValueError, match="is nan; expected a finite number: did the training diverge"):
        Objective(network, data=(X, Y), loss=F.cross_entropy)


# ------------------------------------------------------------------- D. the caller's state neither leaks in nor out


def precise(kind):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(kind)
    return lambda: torch.set_float32_matmul_precision(before)


def default_dtype():
    torch.set_default_dtype(torch.float64)
    return lambda: torch.set_default_dtype(torch.float32)


def deterministic():
    torch.use_deterministic_algorithms(True)
    return lambda: torch.use_deterministic_algorithms(False)


def entered(context):
    def begin():
        made = context()
        made.__enter__()
        return lambda: made.__exit__(None, None, None)

    return begin


STATES = {
    "no_grad": entered(torch.no_grad),
    "inference_mode": entered(torch.inference_mode),
    "autocast": entered(lambda: torch.autocast("cpu", torch.bfloat16)),
    "default dtype": default_dtype,
    "default device": entered(lambda: torch.device("meta")),
    "deterministic": deterministic,
    "coarse products": lambda: precise("medium"),
    "anomaly detection": entered(torch.autograd.detect_anomaly),
}


def measured():
    """Every measure once, on a network with batch norm."""
    with torch.random.fork_rng():
        network = nn.Sequential(linear(), nn.BatchNorm1d(3, dtype=torch.float32, device="cpu"), linear_of(3))
    f = Objective(network, data=(X, Y), batch_size=10)
    s = lbgap.spectrum.spectrum(f, f.x, top=2, probes=1, steps=5, keep_vectors=True)
    return [
        *f(f.x)[1].tolist(),
        *f.evaluate(f.x),
        Objective(network, data=(X, Y), batch_norm="recalibrated").evaluate(f.x)[0],
        lbgap.sharpness(f, f.x, 1e-3).value,
        lbgap.sharpness(f, f.x, 1e-3, subspace=2, solver="literal").value,
        *s.top,
        *lbgap.spectrum.rises(f, f.x, s.vectors.T, 0.1),
        lbgap.spectrum.quadratic_sharpness(f, f.x, 1e-3, s),
        *lbgap.spectrum.ritz(f, f.x, s.vectors),
        lbgap.noise.noise_scale(f, f.x, 10).trace,
        *lbgap.landscape.linear(f, f.x, 2 * f.x, [0, 0.5]).loss,
    ]


def linear_of(inputs):
    layer = nn.Linear(inputs, 3, dtype=torch.float32, device="cpu")  # draws, so the caller puts the generator back
    with torch.no_grad():
        layer.weight.copy_(torch.eye(3, dtype=torch.float32, device="cpu"))
        layer.bias.zero_()
    return layer


PLAIN_LINEAR = linear()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("state", STATES)
def test_measures_are_the_same_whatever_the_caller_has_switched_on(state, monkeypatch):
    monkeypatch.setitem(globals(), "linear", lambda: copy.deepcopy(PLAIN_LINEAR))
    outside = measured()
    end = STATES[state]()
    try:
        seen = lambda: (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(),
        )
        before, inside = seen(), measured()
        assert seen() == before
    finally:
        end()
    assert inside == outside


@pytest.mark.parametrize("draw", [torch.rand, np.random.rand, lambda n: [random.random() for _ in range(n)]])
def test_the_generators_stay_where_they_are_when_data_are_refused(draw):
    states = lambda: (torch.get_rng_state().tolist(), np.random.get_state()[1:3], random.getstate())
    before = repr(states()[0]), states()[1][0].tolist(), states()[1][1], states()[2]
    with pytest.raises(ValueError, match="draws random numbers"):
        Objective(linear(), data=Pairs(lambda k: (torch.as_tensor(draw(8)).float(), 0)))
    assert before == (repr(states()[0]), states()[1][0].tolist(), states()[1][1], states()[2])


def test_the_generators_stay_where_they_are():
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    measured()
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate()
    assert (before[2] == np.random.get_state()[1]).all()


def test_between_two_mini_batches_the_caller_has_his_own_state():
    f = Objective(linear(), data=(X, Y))
    with torch.no_grad():
        for _ in itertools.islice(f.gradients(f.x, 5), 2):
            assert not torch.is_grad_enabled()


def test_x_may_hang_on_a_graph():
    network = linear()
    f = Objective(network, data=(X, Y))
    x = nn.utils.parameters_to_vector(network.parameters())
    s = lbgap.spectrum.spectrum(f, x, top=2, steps=8, keep_vectors=True)
    for call in (
        lambda x: lbgap.sharpness(f, x, 1e-3).value,
        lambda x: lbgap.sharpness(f, x, 1e-3, solver="literal").value,
        lambda x: lbgap.landscape.linear(f, x, 2 * x, [0, 0.5, 1]).loss.tolist(),
        lambda x: lbgap.spectrum.quadratic_sharpness(f, x, 1e-3, s),
        lambda x: lbgap.spectrum.ritz(f, x, s.vectors).tolist(),
        lambda x: lbgap.spectrum.rises(f, x, s.vectors.T, 0.1).tolist(),
        lambda x: lbgap.spectrum.edge(f, x, steps=4),
        lambda x: lbgap.noise.noise_scale(f, x, 10),
    ):
        assert call(x) == call(x.detach())


# ----------------------------------------------------------------------------- E. outside its domain a metric says so


def test_other_metrics_say_so_too():
    f = Objective(linear(), data=(X, Y))
    s = lbgap.spectrum.spectrum(f, f.x, top=1, steps=4, keep_vectors=True)

    class Low:
        """f - 5, and one whose gradients are NaN."""

        def __call__(self, x):
            return f(x)[0] - 5, f(x)[1]

        def gradients(self, x, batch_size, seed):
            return ((g * math.nan, k) for g, k in f.gradients(x, batch_size, seed))

    for words, call in {
        "above -1": lambda: lbgap.spectrum.rises(Low(), f.x, s.vectors.T, 0.1),
        "f.x. is -.*above -1": lambda: lbgap.spectrum.quadratic_sharpness(Low(), f.x, 1e-3, s),
        "gradients have NaN": lambda: lbgap.noise.noise_scale(Low(), f.x, 10),
        "along direction 0; expected finite": lambda: lbgap.spectrum.rises(
            lambda x: (1.0 if torch.equal(x, f.x) else math.inf, x), f.x, [f.x], 0.1
        ),
        "float32 or float64": lambda: lbgap.spectrum.spectrum(f, f.x.bfloat16()),
    }.items():
        with pytest.raises(ValueError, match=words):
            call()


def test_whole_numbers_may_come_out_of_an_array():
    f = Objective(linear(), data=(X, Y))
    for call in (
        lambda k: lbgap.spectrum.spectrum(f, f.x, top=k(1), steps=k(4), probes=k(1), seed=k(3)).top.tolist(),
        lambda k: lbgap.noise.noise_scale(f, f.x, k(10), seed=k(2), count=k(2)),
        lambda k: f.subset(k(10), k(1))(f.x)[0],
        lambda k: [d.tolist() for d in lbgap.spectrum.random_directions(f.x, k(2), k(3))],
        lambda k: lbgap.sharpness(f, f.x, 1e-3, seed=k(1), iterations=k(6), random_starts=k(1)).value,
    ):
        assert call(np.int64) == call(int)


# ----------------------------------------------------------------------------------- progress, and a second opinion


def test_a_bar_counts_the_passes(capsys):
    f = Objective(linear(), data=(X, Y), batch_size=10, progress=True)
    f(f.x), f.evaluate(f.x), f.hvp(f.x, f.x)
    assert f._bar.n == pytest.approx(3) and "passes over the data" in capsys.readouterr().err
    assert (
        lbgap.sharpness(f, f.x, 1e-3).value
        == lbgap.sharpness(Objective(linear(), data=(X, Y), batch_size=10), f.x, 1e-3).value
    )


def test_sharpness_of_a_network_that_is_not_ours_against_scipy_from_many_starts():
    """An independent maximiser (SciPy's SLSQP, a network and its gradient written out in NumPy) on a box of 27 + 18
    dimensions."""
    from scipy.optimize import minimize

    network = nn.Sequential(nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    f = Objective(network, data=(X, Y))
    optimizer = torch.optim.Adam(network.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(network(X.double()), Y).backward()
        optimizer.step()
    f = Objective(network, data=(X, Y))
    x, inputs, hot = f.x.numpy(), X.double().numpy(), np.eye(3)[Y.numpy()]

    def negative(x):
        w, b, v, c = x[:24].reshape(3, 8), x[24:27], x[27:36].reshape(3, 3), x[36:]
        h = np.tanh(inputs @ w.T + b)
        z = h @ v.T + c
        z -= z.max(1, keepdims=True)
        p = np.exp(z)
        p /= p.sum(1, keepdims=True)
        d = (p - hot) / N
        e = (d @ v) * (1 - h**2)
        gradient = np.concatenate([(e.T @ inputs).ravel(), e.sum(0), (d.T @ h).ravel(), d.sum(0)])
        return (hot * np.log(p)).sum() / N, -gradient

    rng = np.random.default_rng(0)
    for epsilon in (5e-4, 1e-3, 0.01):
        half = epsilon * (np.abs(x) + 1)
        starts = [x + half * rng.choice([-1, 1], len(x)) for _ in range(12)] + [x]
        bounds = list(zip(x - half, x + half))
        highest = max(-minimize(negative, s, jac=True, method="SLSQP", bounds=bounds).fun for s in starts)
        f0 = -negative(x)[0]
        s = lbgap.sharpness(f, f.x, epsilon)
        assert s.f0 == pytest.approx(f0, rel=1e-9)
        assert s.value == pytest.approx(100 * (highest - f0) / (1 + f0), rel=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("state", STATES)
def test_training_is_the_same_whatever_the_caller_has_switched_on(state):
    """Both forms of network, remedies that draw and differentiate, and what is left for the measures."""
    remedies = [lbgap.remedies.GradientPenalty(), lbgap.remedies.Injected(16), lbgap.remedies.Augmentation()]
    runs = [
        lbgap.Run("mlp-bn", "tiny-mnist", 64, epochs=1, remedies=remedies),
        lbgap.Run("mlp", "tiny-mnist", 64, epochs=1),
    ]
    outside = [lbgap.train(run, progress=False) for run in runs]
    lbgap.data._load.cache_clear()
    end = STATES[state]()
    try:
        inside = [lbgap.train(run, progress=False) for run in runs]
        again = [lbgap.Objective(m)(m.x)[0] for m in inside]
    finally:
        end()
        lbgap.data._load.cache_clear()
    for a, b, f in zip(outside, inside, again):
        assert a.x.dtype == b.x.dtype == torch.float32 and torch.equal(a.x, b.x) and a.history == b.history
        assert all(torch.equal(t, b.buffers[k]) for k, t in a.buffers.items())
        assert not b.x.is_inference() and f == lbgap.Objective(a)(a.x)[0]


# ------------------------------------------------------------------------ B, G. remedies in the reader's own training
# loop


INSIDE = [
    lbgap.remedies.SAM(),
    lbgap.remedies.SAM(examples=7, adaptive=True),
    lbgap.remedies.Conservative(),
    lbgap.remedies.Adversarial(clip=False),
    lbgap.remedies.Stability(),
    lbgap.remedies.Injected(10),
    lbgap.remedies.Sharpen(),
    lbgap.remedies.GradientPenalty(examples=10),
]


def loop(network, remedies, steps=3, **settings):
    """The reader's own training loop: his network, his optimiser."""
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    step = lbgap.remedies.use(network.train(), optimizer, remedies, **settings)
    torch.manual_seed(0)
    return [step(X, Y).item() for _ in range(steps)]


@pytest.mark.parametrize("remedy", INSIDE, ids=lambda remedy: type(remedy).__name__)
def test_a_remedy_in_ones_own_loop_moves_what_trains_and_nothing_else(remedy):
    """The frozen layer stays, the unused one has no gradient, and both do not matter to the rest."""
    torch.manual_seed(1)
    network = Odd()
    small = copy.deepcopy(network)
    del small.unused
    before = {k: v.clone() for k, v in network.state_dict().items()}
    losses = loop(network, remedy)
    assert losses == loop(small, remedy) and losses[-1] != losses[0]
    for name, after in network.state_dict().items():
        still = name.startswith(("frozen", "unused", "codes"))
        assert torch.equal(before[name], after) == still, name
        assert name.startswith("unused") or torch.equal(small.state_dict()[name], after)


class Skips(nn.Module):
    """Takes one of two layers, by turns."""

    def __init__(self):
        super().__init__()
        self.layers, self.head, self.calls = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)]), nn.Linear(8, 3), 0

    def forward(self, x):
        self.calls += 1
        return self.head(self.layers[self.calls % 2](x).tanh())


def test_pieces_that_use_different_layers_each_give_their_own_gradient():
    """Each piece's two passes take one layer and then the other: one is moved, and the other has a gradient."""
    network = Skips()
    step = lbgap.remedies.use(network, torch.optim.SGD(network.parameters(), 0.0), lbgap.remedies.SAM(0.0, examples=15))
    step(X, Y)
    found = [p.grad.clone() for p in network.layers[0].parameters()]
    network.calls = 1
    wanted = torch.autograd.grad(F.cross_entropy(network(X), Y), list(network.layers[0].parameters()))
    torch.testing.assert_close(found, list(wanted))
    assert all(p.grad is None for p in network.layers[1].parameters())
    sharpen = lbgap.remedies.use(network, torch.optim.SGD(network.parameters(), 0.0), lbgap.remedies.Sharpen())
    sharpen(X, Y)
    assert all(p.grad is not None for p in network.parameters())


def test_what_cannot_be_moved_turned_or_compared_is_refused():
    ids, embed = torch.arange(N)[:, None] % 4, nn.Sequential(nn.Embedding(4, 8), nn.Flatten(), nn.Linear(8, 3))

    def told(network, remedy, inputs, labels=Y, **settings):
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        with pytest.raises(ValueError) as error:
            lbgap.remedies.use(network, optimizer, remedy, **settings)(inputs, labels)
        return str(error.value)

    for remedy in (lbgap.remedies.Stability(), lbgap.remedies.Adversarial(clip=False)):
        assert "torch.int64; expected floating-point numbers" in told(embed, remedy, ids)
    one, numbers = nn.Linear(8, 1), drawn(N, 1)
    assert "shape (30, 1); Stability expects logits" in told(
        one, lbgap.remedies.Stability(), X, numbers, loss=F.mse_loss
    )
    flat_, turn = nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), lbgap.remedies.Augmentation()
    for inputs in (drawn(N, 1, 8, 16), X, torch.ones(N, 1, 8, 8, dtype=torch.uint8)):
        assert "expects square images" in told(flat_, turn, inputs)
    lbfgs = torch.optim.LBFGS(one.parameters())
    with pytest.raises(ValueError, match="LBFGS.*needs no closure"):
        lbgap.remedies.use(one, lbfgs, lbgap.remedies.SAM())
    with torch.no_grad():
        assert "gradients are switched off" in told(linear(), lbgap.remedies.SAM(), X)


def test_noise_is_that_of_each_example_whatever_the_shape_of_its_loss():
    """The gradient's variance over draws is what the examples' own gradients say, for a column, rows and a sequence."""
    B, examples, remedy = 6, 2, lbgap.remedies.Injected(2)
    for network, labels, loss in (
        (nn.Linear(8, 1), drawn(B, 1), F.mse_loss),
        (nn.Linear(8, 2), drawn(B, 2), nn.MSELoss()),
        (nn.Sequential(nn.Linear(8, 6), nn.Unflatten(1, (3, 2))), torch.arange(2 * B).view(B, 2) % 3, F.cross_entropy),
        (nn.Linear(8, 3), Y[:B], nn.CrossEntropyLoss()),
    ):
        parameters = [*network.parameters()]
        grad = lambda k: flat(torch.autograd.grad(loss(network(X[k]), labels[k]), parameters))
        each = torch.stack([grad(slice(k, k + 1)) for k in range(B)])
        step = lbgap.remedies.use(network, torch.optim.SGD(parameters, 0.0), remedy, loss=loss)
        torch.manual_seed(0)
        draws = []
        for _ in range(2000):
            step(X[:B], labels)
            draws.append(flat(p.grad for p in parameters))
        draws, centred = torch.stack(draws), each - each.mean(0)
        wanted = (centred**2).sum() / B * (1 / examples - 1 / B)
        assert draws.mean(0) == pytest.approx(each.mean(0), abs=0.1 * each.abs().max().item())
        assert draws.var(0).sum().item() == pytest.approx(wanted.item(), rel=0.1)


def test_a_loss_whose_examples_do_not_add_up_to_it_is_told():
    remedy = lbgap.remedies.Injected(2)
    weighed = nn.CrossEntropyLoss(torch.tensor([1.0, 5.0, 9.0]))
    for loss, words in (
        (weighed, "mean of each example's .*no class weights"),
        (lambda z, y: F.cross_entropy(z, y), "loss gives no loss of each example.*reduction"),
        (lambda z, y, reduction="mean": F.cross_entropy(z, y), r"shape \(\) for 30 examples"),
    ):
        with pytest.raises(ValueError, match=words):
            loop(linear(), remedy, loss=loss)


def test_without_a_remedy_the_step_is_torchs_own():
    network, own = linear(), linear()
    loop(network, [])
    optimizer = torch.optim.SGD(own.parameters(), 0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(own(X), Y).backward()
        optimizer.step()
    assert torch.equal(network.weight, own.weight)
    smooth = lambda z, y, reduction="mean": F.cross_entropy(z, y, reduction=reduction, label_smoothing=0.1)
    assert loop(linear(), [], 1, loss=smooth) == [smooth(linear()(X), Y).item()]


def test_what_only_the_loop_can_change_is_refused():
    for remedy, words in (
        (lbgap.remedies.Growth(), "Growth sets the batch size"),
        (lbgap.remedies.Schedule(), "Schedule sets the learning rate"),
    ):
        with pytest.raises(ValueError, match=words):
            loop(linear(), remedy)


def test_ghosts_without_a_batch_norm_and_an_optimiser_of_another_network_are_refused():
    with pytest.raises(ValueError, match="no batch norm for ghosts"):
        loop(linear(), lbgap.remedies.Ghost(4))
    with pytest.raises(ValueError, match="optimizer moves no parameter of the network"):
        lbgap.remedies.use(linear(), torch.optim.SGD(linear().parameters(), 0.1), lbgap.remedies.SAM())


def test_a_part_that_thaws_takes_part_from_then_on():
    def one_step(early):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3))
        network[0].requires_grad_(early)
        step = lbgap.remedies.use(network, torch.optim.SGD(network.parameters(), 0.1), lbgap.remedies.SAM(1.0))
        network.requires_grad_(True)
        step(X, Y)
        return network[0].weight

    assert torch.equal(one_step(True), one_step(False))


def test_what_is_no_network_no_optimiser_and_no_batch_is_told():
    network = linear()
    with pytest.raises(
        ValueError, match="minimizer is a OrderedDict; expected a Minimizer, or an nn.Module with data="
    ):
        Objective(network.state_dict(), data=(X, Y))
    with pytest.raises(ValueError, match="optimizer is a generator; expected a torch.optim.Optimizer"):
        lbgap.remedies.use(network, network.parameters(), lbgap.remedies.SAM())
    step = lbgap.remedies.use(network, torch.optim.SGD(network.parameters(), 0.1), lbgap.remedies.SAM())
    with pytest.raises(ValueError, match="inputs are a dict; expected a tensor, a row an example"):
        step({"ids": X}, Y)
    with pytest.raises(ValueError, match="labels are a NoneType; expected a tensor"):
        step(X, None)
    with pytest.raises(ValueError, match="inputs go from -2.* to .*; expected pixels from 0 to 1, or clip=False"):
        loop(network, lbgap.remedies.Adversarial(0.1))


@pytest.mark.parametrize("remedy", [lbgap.remedies.SAM(0.0), lbgap.remedies.Sharpen(0.5, 0.0)], ids=["SAM", "Sharpen"])
def test_a_second_pass_leaves_the_running_statistics(remedy):
    """With rho or weight 0 it is the optimiser itself bit for bit, also in batch norm's buffers."""
    runs = [lbgap.Run("mlp-bn", "tiny-mnist", 64, epochs=1, remedies=r) for r in ([], [remedy])]
    plain, treated = (lbgap.train(run, progress=False) for run in runs)
    assert torch.equal(plain.x, treated.x)
    assert all(torch.equal(b, treated.buffers[name]) for name, b in plain.buffers.items())
    network = nn.Sequential(linear(), nn.BatchNorm1d(3), nn.Linear(3, 3))
    loop(network, lbgap.remedies.SAM(0.5), 2)
    assert network[1].num_batches_tracked == 2 and network[1].track_running_stats
    norm = nn.InstanceNorm1d(2, affine=True, track_running_stats=True)
    network, plain = (nn.Sequential(nn.Unflatten(1, (2, 4)), copy.deepcopy(norm), nn.Flatten(), linear()) for _ in "ab")
    optimizer = torch.optim.SGD(network.parameters(), 0.0)
    lbgap.remedies.use(network, optimizer, lbgap.remedies.SAM(0.5))(X, Y)
    plain(X)
    torch.testing.assert_close(network[1].running_mean, plain[1].running_mean)


def test_adaptive_sam_scales_every_weight_as_it_says():
    """The first step of SAM(adaptive=True) by hand: x + rho s^2 g / |s g|, s = |x| + 0.01, biases too."""
    network, seen = linear(), []
    network.register_forward_pre_hook(lambda m, _: seen.append(flat(m.parameters())))
    x, g = flat(network.parameters()), by_torch(network)[1]
    seen.clear()
    loop(network, lbgap.remedies.SAM(0.5, adaptive=True), 1)
    s = x.abs() + 0.01
    torch.testing.assert_close(seen[1], x + 0.5 * s**2 * g / (s * g).norm())
    assert "biases" in lbgap.remedies.SAM.__doc__


def test_the_penaltys_gradient_goes_through_attention_and_weight_norm():
    """L + w/2 |grad L|^2 against finite differences, where PyTorch's own kernels have no second derivative or a wrong
    one."""
    for make in (Attention, lambda: nn.utils.parametrizations.weight_norm(linear())):
        network = make().double()
        with torch.no_grad():
            for p in network.parameters():
                p += 0.3 * drawn(*p.shape, dtype=torch.float64)
        f = Objective(network, data=(X, Y))
        penalised = lambda x: f(x)[0] + 0.5 * 0.7 * f(x)[1].square().sum().item()
        optimizer = torch.optim.SGD(network.parameters(), 0.0)
        lbgap.remedies.use(network, optimizer, lbgap.remedies.GradientPenalty(0.7))(X.double(), Y)
        g, v = flat(p.grad for p in network.parameters()), drawn(f.n, dtype=torch.float64)
        slope = (penalised(f.x + 1e-5 * v) - penalised(f.x - 1e-5 * v)) / 2e-5
        assert (g @ v).item() == pytest.approx(slope, rel=1e-6)


def test_numbers_of_a_run_and_a_remedy_may_come_out_of_an_array():
    plain = lbgap.Run(
        "mlp", "tiny-mnist", 64, seed=3, lr=0.5, epochs=2, remedies=[lbgap.remedies.SAM(0.5, examples=32)]
    )
    sam = lbgap.remedies.SAM(np.float64(0.5), examples=np.int64(32))
    theirs = lbgap.Run(
        "mlp", "tiny-mnist", np.int64(64), seed=np.int64(3), lr=np.float64(0.5), epochs=np.int32(2), remedies=[sam]
    )
    assert theirs == plain and theirs.id == plain.id and sam == plain.remedies[0]
    with pytest.raises(ValueError, match=r"examples is .*2\.5"):
        lbgap.remedies.SAM(examples=np.float64(2.5))
    a, b = (lbgap.networks.build("mlp", seed=kind(4)) for kind in (np.int64, int))
    assert torch.equal(a[1].weight, b[1].weight)


# --------------------------------------------------------------------------------------- F. damaged or foreign files


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"<html>not found</html>"])
def test_a_damaged_checkpoint_or_minimiser_is_named(damage, tmp_path):
    run, path, saved = (
        lbgap.Run("mlp", "tiny-mnist", 64, epochs=1),
        tmp_path / "state.pt",
        tmp_path / "saved.safetensors",
    )
    lbgap.train(run, progress=False, checkpoint=path).save(saved)
    for file, read, words in (
        (path, lambda: lbgap.train(run, progress=False, checkpoint=path), "state.pt is damaged.*delete it"),
        (saved, lambda: lbgap.Minimizer.open(saved), "saved.safetensors is damaged or no minimiser.*expected"),
    ):
        file.write_bytes(damage(file.read_bytes()))
        with pytest.raises(ValueError, match=words):
            read()


def test_a_foreign_file_is_named(tmp_path):
    from safetensors.torch import save_file

    foreign, path = tmp_path / "model.safetensors", tmp_path / "model.pt"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": X}, foreign, metadata)
        with pytest.raises(ValueError, match="model.safetensors is damaged or no minimiser.*Objective.network"):
            lbgap.Minimizer.open(foreign)
    for state in (linear().state_dict(), [1, 2]):
        torch.save(state, path)
        with pytest.raises(ValueError, match="model.pt is no checkpoint of a run"):
            lbgap.train(lbgap.Run("mlp", "tiny-mnist", 64, epochs=1), progress=False, checkpoint=path)


def test_a_home_folder_is_found_where_no_shell_expands_it(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LBGAP_RESULTS", "~/results")
    monkeypatch.setenv("LBGAP_DATA", "~/data")
    assert lbgap.results.Store(packaged=None).folder == tmp_path / "results"
    assert lbgap.results.Store("~/else", packaged=None).folder == tmp_path / "else"
    with pytest.raises(FileNotFoundError, match=f"not found in {tmp_path}/data"):
        lbgap.load("cifar10")


def test_a_table_is_shown_where_the_output_is_ascii():
    """As under cron and in some batch systems; another character stands for the plus-minus sign."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "lbgap", "show", "table3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "F1" in done.stdout and "?" in done.stdout, done.stderr


# ------------------------------------------------------------------------------------- norms exchanged, and two
# networks


class Residual(nn.Module):
    """A small ResNet: what goes past a batch norm is no filter before it."""

    def __init__(self, seed, leak=False):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.stem, self.conv, self.out = (
                nn.Conv2d(3, 4, 3),
                nn.Conv2d(4, 4, 3, padding=1, bias=False),
                nn.Linear(4, 3),
            )
        self.norm, self.again, self.leak = nn.BatchNorm2d(4), nn.BatchNorm2d(4), leak

    def forward(self, x):
        z = self.stem(x)
        y = F.relu(self.norm(z))
        y = F.relu(self.again(self.conv(y)) + (z if self.leak else y))
        return self.out(y.mean((2, 3)))


def test_filters_take_the_references_norms_and_f_stays():
    """Each filter's norm by hand; the rest of x, and f, as they were; and the comparison is one of equal scale."""
    small, large = Residual(0), Residual(1)
    with torch.no_grad():
        large.stem.weight.mul_(3), large.stem.bias.mul_(3), large.conv.weight.mul_(0.5)
    f, g = (Objective(network, data=(IMAGES, Y)) for network in (large, small))
    x = lbgap.same_function.match_filters(f, g)
    assert f(x)[0] == pytest.approx(f(f.x)[0], rel=1e-3)
    moved = copy.deepcopy(large)
    nn.utils.vector_to_parameters(x, moved.parameters())
    for name in ("stem", "conv"):
        new, old, wanted = (getattr(n, name).weight.detach().flatten(1) for n in (moved, large, small))
        torch.testing.assert_close(new.norm(dim=1), wanted.norm(dim=1))
        torch.testing.assert_close(new / new.norm(dim=1, keepdim=True), old / old.norm(dim=1, keepdim=True))
    ratio = (small.stem.weight.flatten(1).norm(dim=1) / large.stem.weight.flatten(1).norm(dim=1)).detach()
    torch.testing.assert_close(moved.stem.bias.detach(), large.stem.bias.detach() * ratio)
    assert torch.equal(moved.out.weight, large.out.weight) and torch.equal(moved.norm.weight, large.norm.weight)
    assert torch.equal(f.x, flat(large.parameters()))
    scaled = Residual(
        0
    )  # the same function as small at 3 times its filters: sharper or flatter until the norms are the same
    with torch.no_grad():
        scaled.stem.weight.mul_(3), scaled.stem.bias.mul_(3), scaled.conv.weight.mul_(3)
    s = Objective(scaled, data=(IMAGES, Y))
    tied, other = Residual(2), Residual(3)  # a weight that two layers share is scaled once
    for network in (tied, other):
        network.stem = nn.Sequential(network.stem, nn.BatchNorm2d(4), network.conv, network.norm, network.conv)
        network.norm = nn.BatchNorm2d(4)
    t, u = (Objective(network, data=(IMAGES, Y)) for network in (tied, other))
    nn.utils.vector_to_parameters(lbgap.same_function.match_filters(t, u), tied.parameters())
    lengths = [n.conv.weight.detach().flatten(1).norm(dim=1) for n in (tied, other)]
    torch.testing.assert_close(*lengths)
    a, b, c = (
        lbgap.sharpness(h, y, 1e-3).value for h, y in ((g, g.x), (s, s.x), (s, lbgap.same_function.match_filters(s, g)))
    )
    assert c == pytest.approx(a, rel=1e-3) and abs(b / a - 1) > 0.05


def test_a_network_in_place_of_a_minimiser_is_told_what_there_is_for_it():
    same, network = lbgap.same_function, Residual(0)
    f = Objective(network, data=(IMAGES, Y))
    for call in (
        lambda: same.twin(network, 2.0),
        lambda: same.match_norms(f, f),
        lambda: same.match_loss(network, 1.0, f),
    ):
        with pytest.raises(ValueError, match=r"expected a Minimizer.*match_filters\(f, reference\)"):
            call()
    with pytest.raises(ValueError, match="a Residual is given; expected two of Objective"):
        same.match_filters(network, network)
    with pytest.raises(ValueError, match=r"f is a Residual; expected f\(x\)"):
        lbgap.sharpness(network, f.x, 1e-3)
    with pytest.raises(ValueError, match=r"f\(x\) is a float; expected \(value, gradient"):
        lbgap.sharpness(lambda x: 1.0, f.x, 1e-3)
    with pytest.raises(ValueError, match="x_small has shape \\('Residual',\\)"):
        lbgap.landscape.linear(f, network, network)


def test_what_has_no_norms_to_exchange_is_told():
    match, small = lbgap.same_function.match_filters, Objective(Residual(0), data=(IMAGES, Y))
    leaking = Objective(Residual(1, leak=True), data=(IMAGES, Y))
    with torch.no_grad():
        leaking.x[: leaking.network.stem.weight.numel() + 4] *= 3
    with pytest.raises(ValueError, match="outputs change by more than 5 %.*nowhere else"):
        match(leaking, small)
    with pytest.raises(ValueError, match="batch_norm is 'frozen'"):
        match(Objective(Residual(0), data=(IMAGES, Y), batch_norm="frozen"), small)
    plain = Objective(linear(), data=(X, Y))
    for f, reference in ((plain, plain), (small, plain)):
        with pytest.raises(ValueError, match="expected the same ones in both"):
            match(f, reference)


def test_what_the_page_advises_for_tokens_graphs_points_and_clipping_is_so():
    tokens, tags = torch.arange(N * 4).view(N, 4) % 5, torch.arange(N * 4).view(N, 4) % 3
    tags[::3, 2:] = -100
    tagger = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))
    length = (tags != -100).sum() / N
    loss = lambda z, y: F.cross_entropy(z.transpose(1, 2), y, reduction="none").sum(1).mean() / length
    wanted = by_torch(tagger, tokens, tags, lambda z, y: F.cross_entropy(z.transpose(1, 2), y))
    for size in (N, 7):
        f = Objective(tagger, data=(tokens, tags), loss=loss, batch_size=size)
        value, gradient = f(f.x)
        assert value == pytest.approx(wanted[0], rel=1e-6)
        torch.testing.assert_close(gradient, wanted[1])
    network, train = linear(), torch.arange(20)
    g = Objective(network, data=(X[None], Y[None]), loss=lambda z, y: F.cross_entropy(z[0][train], y[0][train]))
    assert g(g.x)[0] == pytest.approx(by_torch(network, X[train], Y[train])[0], rel=1e-6)
    s = lbgap.sharpness(g, g.x, 0.1, keep_point=True)
    nn.utils.vector_to_parameters(s.point, network.parameters())
    assert by_torch(network, X[train], Y[train])[0] == pytest.approx(s.fmax, rel=1e-5)
    optimizer = torch.optim.SGD(network.parameters(), 1.0)

    def clip(*_):
        nn.utils.clip_grad_norm_(network.parameters(), 1e-3)

    optimizer.register_step_pre_hook(clip)
    before = flat(network.parameters())
    lbgap.remedies.use(network, optimizer, lbgap.remedies.SAM())(X, Y)
    assert (flat(network.parameters()) - before).norm() == pytest.approx(1e-3, rel=1e-3)


def test_a_path_between_two_networks_ends_at_each_ones_own_f():
    """With batch norm and in the default mode: the statistics of the batch at each point, not of either end."""
    a, b = Residual(0), Residual(1)
    f, g = (Objective(network, data=(IMAGES, Y)) for network in (a, b))
    path = lbgap.landscape.linear(f, f.x, g.x, [0, 0.5, 1])
    middle = copy.deepcopy(a)
    nn.utils.vector_to_parameters((f.x + g.x) / 2, middle.parameters())
    expected = [F.cross_entropy(n.train()(IMAGES), Y).item() for n in (a, middle, b)]
    assert path.loss == pytest.approx(expected, rel=1e-5)
