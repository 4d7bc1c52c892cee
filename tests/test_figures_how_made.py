"""How results were made, counted on a made-up store."""

from lbgap.campaign import scales, units
from lbgap.figures import how_made


def test_documents_are_counted_by_kind_and_machine(store):
    assert str(how_made.how_made()) == "Nothing is stored yet."
    for trial, device in enumerate(["one", "one", "two"]):
        made = {"device": device, "date": f"2026-11-2{trial}T00:00:00Z", "seconds": 1800.0, "commit": "a"}
        of = scales.run("F1", 256, trial)
        for unit in [units.train(of), units.sharpness(of)][: 1 + trial % 2]:
            store.put(unit, {"diverged": True}, made | {"versions": {"torch": "2.0"}})
    said = str(how_made.how_made())
    assert (
        "| a network, trained | 3 | 1.5 |" in said and "| a sharpness, at one or several epsilons | 1 | 0.5 |" in said
    )
    assert "from 2026-11-20 to 2026-11-22, on one (3), two (1), with PyTorch 2.0, from 1 states" in said


def test_every_kind_has_its_words():
    kinds = {path.name for path in (how_made.results.PACKAGED).iterdir() if path.is_dir()}
    assert kinds <= how_made.KINDS.keys()
