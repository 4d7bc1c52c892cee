"""Every field of a Run and of every remedy: what makes no sense is refused by name, and one number is one id."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from lbgap import data, networks, remedies
from lbgap.remedies import REMEDIES
from lbgap.run import Run

NOTHING = [math.nan, math.inf, -math.inf, -1, "1", "", [1], {}, object(), 1j, np.array([1, 1]), np.nan, np.str_("nan")]
# What a field is, written down here a second time: a word, a whole number, a number, or yes or no.
KINDS = {
    "word": "network dataset variant init optimizer precision activation".split(),
    "count": "batch_size epochs patience stop_epochs noise_seed init_seed order_seed shrink".split(),
    "number": ("lr beta1 beta2 adam_epsilon momentum weight_decay stop_loss stop_f label_noise lr_end").split(),
    "flag": "dropout carry".split(),
}
BAD = {
    "word": [*NOTHING, 1, True, None, "adam "],
    "count": [*NOTHING, 1.5, np.float32(1.5), True, np.True_, 2**63, 10**400],
    "number": [*NOTHING, True, np.True_, 10**400],
    "flag": [*NOTHING, 2, 1.5, "True"],
}
OPTIONAL = {"patience", "stop_loss", "stop_f", "lr_end", "init_seed", "order_seed"}
MORE = {  # beside those of its kind
    **dict.fromkeys(
        ("batch_size", "epochs", "patience", "stop_epochs", "shrink", "lr", "stop_loss", "stop_f"), [0, 0.0]
    ),
    **dict.fromkeys(("beta1", "beta2", "momentum", "label_noise"), [1, 1.0, 2]),
    "remedies": [*NOTHING, None, 1, "sam", ["sam"], {"name": "sam", "rho": "1"}, {"name": ["sam"]}, {"rho": 1}],
    "start": [*NOTHING, "F1", 1, True, {"network": "F1"}, {"network": "F1", "dataset": "mnist", "batch": 8}],
}


def cases():
    for kind, names in KINDS.items():
        for name in names:
            for value in [*BAD[kind], *MORE.get(name, []), *([] if name in OPTIONAL else [None])]:
                if name != "shrink" or not isinstance(value, bool | np.bool_):  # one of 1, 2, 4, 8: True is 1
                    yield name, value
    for name in ("remedies", "start"):
        for value in MORE[name]:
            yield name, value


def test_every_field_of_a_run_is_here():
    assert sorted([*sum(KINDS.values(), []), "remedies", "start"]) == sorted(f.name for f in dataclasses.fields(Run))


@pytest.mark.parametrize("name, value", list(cases()), ids=lambda v: repr(v)[:20])
def test_a_run_refuses_what_makes_no_sense_by_the_fields_name(name, value):
    settings = dict(network="F1", dataset="mnist", batch_size=256)
    with pytest.raises(ValueError, match=f"(?s)({name}|remedy|rho).*expected"):
        Run(**{**settings, name: value})


def test_a_seed_is_a_whole_number_too():
    for value in [*NOTHING, 1.5, None, True]:
        with pytest.raises(ValueError, match="seed is .*expected"):
            Run("F1", "mnist", 256, seed=value)


def of_remedies():
    for name, cls in REMEDIES.items():
        for field in dataclasses.fields(cls):
            kind = {"bool": "flag", "str": "word", "int": "count", "int | None": "count"}.get(field.type, "number")
            for value in [*BAD[kind], *([None] if field.default is not None else [])]:
                yield name, field.name, value


@pytest.mark.parametrize("remedy, name, value", list(of_remedies()), ids=lambda v: repr(v)[:20])
def test_a_remedy_refuses_what_makes_no_sense_by_the_fields_name(remedy, name, value):
    with pytest.raises(ValueError, match=f"(?s){name}.*expected"):
        REMEDIES[remedy](**{name: value})


ONE = [1, 1.0, np.int64(1), np.uint8(1), np.float32(1), np.float64(1)]


@pytest.mark.parametrize(
    "settings",
    [
        *({name: "number"} for name in KINDS["number"] if name not in ("beta1", "beta2", "momentum", "label_noise")),
        *({name: "count"} for name in KINDS["count"]),
        *({name: "flag"} for name in ("dropout",)),
        {"seed": "count"},
    ],
    ids=lambda s: next(iter(s)),
)
def test_one_is_one_id(settings):
    (name,) = settings
    more = [True, np.True_] if settings[name] == "flag" else []
    runs = [Run(**{**dict(network="F1", dataset="mnist", batch_size=256), name: one}) for one in [*ONE, *more]]
    assert len({run.id for run in runs}) == len(set(runs)) == 1
    kind = {"count": int, "number": float, "flag": bool}[settings[name]]
    assert {type(getattr(run, {"seed": "init_seed"}.get(name, name))) for run in runs} == {kind}


@pytest.mark.parametrize("name", REMEDIES)
def test_one_is_one_id_of_a_remedy_too(name):
    """Stored documents hold a warm-up of 5 epochs as 5, so a whole number is written without a point."""
    names = [f.name for f in dataclasses.fields(REMEDIES[name]) if f.type != "str"]
    least = 2 if name == "ghost" else 1
    made = [REMEDIES[name](**{field: type(one)(least) for field in names}) for one in ONE]
    assert len(set(map(repr, map(remedies.spec, made)))) == 1


def test_a_data_set_that_the_network_cannot_take_is_refused_and_told_which_it_can():
    takes = {"mnist": ("F1", "mlp", "mlp-bn", "wide", "conv"), "cifar10": ("C1", "C2"), "cifar100": ("C3", "C4")}
    takes |= {"speech": ("F2",), "timit": ("F2",), "tiny-timit": ("F2",), "speech-lj-val": ("F2",)}
    for network, dataset in itertools.product(networks.NETWORKS, takes):
        fits = network in takes[dataset] or (dataset.startswith("cifar") and network in "C1 C2 C3 C4")
        if fits:
            Run(network, dataset, 8)
        else:
            with pytest.raises(ValueError, match=f"(?s)dataset '{dataset}'.*network '{network}'.*expected one of "):
                Run(network, dataset, 8)


def test_the_shape_of_each_data_set_is_that_of_its_examples():
    for name in ("mnist-1k", "mnist-5k-val", "tiny-mnist", "tiny-cifar10", "tiny-cifar100", "tiny-timit", "speech-lj"):
        assert data.shape(name) == tuple(data.load(name).x_train.shape[1:])
    assert all(map(data.shape, data.CLASSES))
