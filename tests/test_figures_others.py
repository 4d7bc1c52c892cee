"""What others measured: each entry has a source, and what stands beside it is ours."""

import json

from test_figures import Made, made  # noqa: F401

from lbgap.campaign import scales
from lbgap.claims import contrast
from lbgap.figures import others
from lbgap.results import arrays

ENTRIES = json.loads(others.FILE.read_text())


def test_every_entry_names_who_what_and_where():
    for entry in ENTRIES:
        assert set(entry) == {"who", "source", "what", "found", "ours"} and entry["source"].startswith("https://")
        assert entry["ours"] is None or entry["ours"] in others.OURS


def test_ours_stand_beside_theirs(made):  # noqa: F811
    for trial in range(2):
        small, large = (scales.laboratory("mlp", b, trial) for b in (32, 512))
        made.train(small, 90.0 + trial / 10), made.train(large, 89.0 + trial / 10)
        made.sharp(scales.pair("F1", trial)[1], 400.0 + 200 * trial)
    said = str(others.others())
    assert said.count("500.00 ± 141.42 at 1e-3; 250.00 ± 70.71 at 5e-4") == 2
    assert "`mlp`: batch 32 is ahead of 512 by 1.00 points" in said
    assert said.count("not measured yet") == 1 and said.count("nothing comparable") == 2
    assert len(said.splitlines()) == len(ENTRIES)


def test_over_an_empty_store_ours_are_not_measured(made):  # noqa: F811
    assert str(others.others()).count("not measured yet") == 4


def test_the_prose_on_others_is_true():
    """Our gap and the project's lie within each other's interval; eight and eleven points on CIFAR-10."""
    small, large = (arrays.final([scales.laboratory("mlp", b, t) for t in range(5)]) for b in (32, 512))
    ours = contrast(small, large)
    assert ours.interval[0] < 0.59 < ours.interval[1] and 0.22 < ours.value < 0.93
    assert round(87.94 - 79.97) == 8 and round(88.89 - 77.44) == 11
