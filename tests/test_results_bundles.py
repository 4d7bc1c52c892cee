"""Bundles: the same bytes come home, the limits hold, damage is found line by line, and nothing is overwritten."""

import json
import os
import signal

import pytest

from lbgap import results
from lbgap.results import Store, bundles
from lbgap.results.bundles import Bundle, merge
from lbgap.run import Run


def spec(i, kind="train"):
    run = Run("F1", "mnist", 8, seed=i).spec
    return {"kind": kind, **({"runs": [run, run]} if kind == "path" else {"run": run})}


def put(store, i, kind="train", **result):
    return store.put(
        spec(i, kind), result or {"f": 0.1 * i, "words": "größer\n\u2028"}, {"date": "2026-01-01T00:00:00Z"}
    )


def files(folder):
    """{path below the folder: bytes}, of all files."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def there(tmp_path):
    return Store(tmp_path / "there", packaged=None)


@pytest.fixture
def home(tmp_path):
    return Store(tmp_path / "home", packaged=tmp_path / "packaged")


@pytest.fixture
def carried(tmp_path, there):
    """The folder of a bundle of four documents, one a line of the only file."""
    bundle = Bundle(tmp_path / "bundle")
    for i, kind in enumerate(("train", "sharpness", "path", "train")):
        bundle.add(put(there, i, kind))
    return bundle.folder


# --------------------------------------------------------------------------------------------------------- there and
# back


def test_the_same_bytes_come_home(carried, there, home):
    (content,) = files(carried).values()
    assert sorted(content.splitlines(keepends=True)) == sorted(files(there.folder).values())
    assert merge(carried, home) == (4, 0, [])
    assert files(home.folder) == files(there.folder) and len(home.paths()) == 4 and home.verify() == []
    before = {p: p.stat().st_mtime_ns for p in home.paths()}
    assert merge(carried, home) == (0, 4, [])
    assert before == {p: p.stat().st_mtime_ns for p in home.paths()}


def test_what_is_packaged_is_there_already(carried, there, home):
    packaged = Store(home.folders[1], packaged=None)
    assert merge(carried, packaged) == (4, 0, [])
    assert merge(str(carried), home) == (0, 4, []) and not home.folder.exists()


def test_a_folder_without_a_bundle_is_refused_by_name(tmp_path, home):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=f"{folder} has no results-.*results folder"):
            merge(folder, home)


# ----------------------------------------------------------------------------------------------------------------
# limits


@pytest.fixture
def small(monkeypatch):
    """Files for two documents each, and three files."""
    size = 480
    monkeypatch.setattr(bundles, "FILES", 3)
    monkeypatch.setattr(bundles, "LIMIT", 2 * size)
    monkeypatch.setattr(bundles, "TOTAL", 6 * size)
    return size


def test_the_limits_are_those_of_the_way_home():
    assert bundles.FILES <= 8 and bundles.LIMIT < 16e6 and bundles.TOTAL <= 60e6 <= bundles.FILES * bundles.LIMIT


def test_a_full_file_is_followed_by_the_next_and_a_full_bundle_says_what_to_do(tmp_path, there, home, small):
    bundle = Bundle(tmp_path / "a" / "bundle")  # made, its parents too
    paths = [put(there, i, f="x" * 100) for i in range(8)]
    assert small / 2 < len(paths[0].read_bytes()) <= small
    for i, path in enumerate(paths[:6]):
        bundle.add(path)
        assert [p.name for p in sorted(bundle.folder.iterdir())] == [f"results-{k}.jsonl" for k in range(i // 2 + 1)]
    before = files(bundle.folder)
    for count, path in enumerate(paths[6:], 1):
        with pytest.raises(OSError, match=rf"full.*so far: {count}\..*{path.name}.*lbgap run --out.*{bundle.folder}"):
            bundle.add(path)
    assert files(bundle.folder) == before and bundle.left == 2
    assert all(len(content) <= bundles.LIMIT for content in before.values())
    assert merge(bundle.folder, home) == (6, 0, [])


@pytest.mark.parametrize("limit, value", [("TOTAL", 3), ("LIMIT", 0.9), ("FILES", 1)])
def test_each_limit_holds_by_itself(tmp_path, there, small, monkeypatch, limit, value):
    monkeypatch.setattr(bundles, limit, value if limit == "FILES" else int(value * small))
    bundle, room = Bundle(tmp_path / "bundle"), {"TOTAL": 3, "LIMIT": 3, "FILES": 2}[limit]
    paths = [put(there, i, f="x" * (430 - len(put(there, i, f="").read_bytes()))) for i in range(4)]
    for path in paths[:room]:
        bundle.add(path)
    with pytest.raises(OSError, match="full"):
        bundle.add(paths[room])


def test_a_bundle_is_gone_on_with(tmp_path, there, home, small):
    paths = [put(there, i, f="x" * 100) for i in range(5)]
    for end in (3, 5):
        bundle = Bundle(tmp_path / "bundle")
        for path in 2 * paths[:end]:
            bundle.add(path)  # what it has already is not added again
    assert [len(c.splitlines()) for c in files(bundle.folder).values()] == [2, 2, 1]
    assert b"".join(files(bundle.folder).values()) == b"".join(p.read_bytes() for p in paths)


# ------------------------------------------------------------------------------------------------------------------
# kills


def test_a_torn_last_line_is_cut_off_and_the_rest_stands(carried, there, home):
    file = carried / "results-0.jsonl"
    whole = file.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in (1, last // 2, last - 1):
        file.write_bytes(whole[:-cut])
        added, already, refused = merge(carried, home)
        assert (added + already, len(refused)) == (3, 1) and f"{file} line 4 is" in refused[0]
        bundle = Bundle(carried)
        assert file.read_bytes() == whole[:-last]
        for path in there.paths():
            bundle.add(path)
        assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())
    file.write_bytes(whole[:20])  # not even one line
    Bundle(carried).add(there.paths()[0])
    assert file.read_bytes() == there.paths()[0].read_bytes()


@pytest.mark.parametrize("content", [b"my own\n", b"my own", None, b"{ 1"])
def test_a_file_that_is_no_bundle_is_left_as_it_is(carried, content):
    mine = carried / "results-1.jsonl"
    mine.write_bytes(content or (carried / "results-0.jsonl").read_bytes() + b"my own\n" + b'{"id":"0')
    (carried / "results-2.jsonl").write_bytes(b'{"id":"0')
    before = files(carried)
    with pytest.raises(ValueError, match=f"{mine} is no file of a bundle.*another folder"):
        Bundle(carried)
    assert files(carried) == before


@pytest.mark.parametrize("content", [b"my own", None])
def test_a_bundle_follows_no_link(tmp_path, carried, there, content):
    file, mine = carried / "results-0.jsonl", tmp_path / "mine"
    mine.write_bytes(content or file.read_bytes() + b'{"id":"0')
    before = mine.read_bytes()
    file.unlink()
    file.symlink_to(mine)
    with pytest.raises(ValueError, match=f"{file} is no file of a bundle .it is a link"):
        Bundle(carried)
    file.unlink()
    bundle = Bundle(carried)
    file.symlink_to(mine)  # behind its back
    with pytest.raises(OSError):
        bundle.add(there.paths()[0])
    assert mine.read_bytes() == before


def test_a_write_that_fails_leaves_the_bundle_as_it_was(carried, there, monkeypatch):
    bundle, before, path = Bundle(carried), files(carried), put(there, 9)
    with monkeypatch.context() as m:
        m.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            bundle.add(path)
    assert files(carried) == before
    bundle.add(path)
    assert files(carried)["results-0.jsonl"] == before["results-0.jsonl"] + path.read_bytes()


def test_a_merge_killed_midway_leaves_the_store_valid_and_is_repeated(carried, there, home):
    child = os.fork()
    if child == 0:
        replace, count = os.replace, []

        def killed(*paths):
            if len(count) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            count.append(replace(*paths))

        os.replace = killed
        merge(carried, home)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(home.paths()) == 2 and home.verify() == []
    assert merge(carried, home) == (2, 2, []) and home.verify() == []
    assert [p.read_bytes() for p in home.paths()] == [p.read_bytes() for p in there.paths()]


# -----------------------------------------------------------------------------------------------------------------
# damage


def consistent(**changes):
    """A document whose checksum is right, whatever else is wrong with it, as a line."""
    document = {"id": results.content_id(spec(7)), "spec": spec(7), "result": {}, "provenance": {}} | changes
    return results.store._bytes(document | {"sha256": results.store._digest(document)})


def of_kind(kind):
    return consistent(spec={"kind": kind}, id=results.content_id({"kind": kind}))


DAMAGE = {
    "not JSON": b'{"id":\n',
    "bytes": b"\xff\xfe\n",
    "empty": b"\n",
    "a list": b"[]\n",
    "a number": b"1\n",
    "no entries": b"{}\n",
    "deep": b"[" * 100_000 + b"\n",
    "NaN": b'{"id":NaN,"sha256":"0","spec":{}}\n',
    "wrong id": consistent(id="0" * 24),
    "another's id": consistent(id=results.content_id(spec(8))),
    "more entries": consistent(more=1),
    "no result": results.store._bytes({k: v for k, v in json.loads(consistent()).items() if k != "result"}),
    "formatted anew": (json.dumps(json.loads(consistent()), sort_keys=True) + "\n").encode(),
    **{f"kind {kind!r}": of_kind(kind) for kind in ("../train", "/tmp", "a/b", "", ".", "..", "a\n", 1, None)},
}


def test_what_the_damages_start_from_is_whole(tmp_path, home):
    path = spec(7, "path")
    (tmp_path / "results-0.jsonl").write_bytes(consistent() + consistent(spec=path, id=results.content_id(path)))
    assert merge(tmp_path, home) == (2, 0, []) and home.verify() == []


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_refused_in_one_line_and_the_others_are_merged(carried, there, home, damage):
    file = carried / "results-0.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], damage, *lines[1:]]))
    added, already, refused = merge(carried, home)
    assert (added, already, len(refused)) == (4, 0, 1) and files(home.folder) == files(there.folder)
    assert refused[0].startswith(f"{file} line 2 is damaged") and "lbgap run" in refused[0]
    assert "\n" not in refused[0] and len(refused[0]) < 500


def test_any_changed_byte_is_found(tmp_path, there, home):
    file = tmp_path / "results-3.jsonl"
    content = put(there, 1).read_bytes()
    for at in range(len(content)):
        for bit in (1, 32, 128):
            file.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            added, already, refused = merge(tmp_path, home)
            assert added == already == 0 and refused
    assert not home.folder.exists()


def test_a_damaged_document_is_not_taken_along(tmp_path, there):
    bundle, path = Bundle(tmp_path / "bundle"), put(there, 1)
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2"))
    with pytest.raises(ValueError, match=f"{path.name} is damaged"):
        bundle.add(path)
    assert files(bundle.folder) == {}


UNKNOWN = {
    "a kind": {**spec(7), "kind": "laboratory"},
    "no run": {"kind": "train"},
    "a network": {"kind": "train", "run": {**spec(7)["run"], "network": "F9"}},
    "a field": {"kind": "train", "run": {**spec(7)["run"], "colour": 1}},
    "a list": {"kind": "train", "run": [1]},
    "no runs": {"kind": "path", "runs": []},
    "a text": {"kind": "path", "runs": "ab"},
}


@pytest.mark.parametrize("unknown", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_no_unit_of_this_version_is_refused_in_one_line_and_the_others_are_merged(
    carried, there, home, unknown
):
    file = carried / "results-0.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    line = consistent(spec=unknown, id=results.content_id(unknown))
    file.write_bytes(b"".join([lines[0], line, *lines[1:]]))
    added, already, refused = merge(carried, home)
    assert (added, already, len(refused)) == (4, 0, 1) and files(home.folder) == files(there.folder)
    assert refused[0].startswith(f"{file} line 2 is no unit that this version of lbgap knows")
    assert "\n" not in refused[0]
    Store(home.folders[1], packaged=None).accept(json.loads(line))  # packaged, it is there as any other
    assert merge(carried, home) == (0, 5, [])


def test_a_damaged_document_of_the_store_gives_way_to_a_whole_one(carried, there, home):
    merge(carried, home)
    path = home.paths()[0]
    path.write_bytes(b"")
    assert merge(carried, home) == (1, 3, []) and files(there.folder).items() <= files(home.folder).items()


# ------------------------------------------------------------------------------------------------------ nothing
# overwritten


@pytest.mark.parametrize("layer", ["user", "packaged"])
def test_another_version_is_refused_by_name_and_never_written_over(carried, there, home, layer):
    mine = Store(home.folder if layer == "user" else home.folders[1], packaged=None)
    path = put(mine, 0, f=0.75)
    content = path.read_bytes()
    for added in (3, 0):
        count, already, refused = merge(carried, home)
        assert (count, already, len(refused)) == (added, 3 - added, 1)
        assert "line 1" in refused[0] and str(path) in refused[0] and "delete" in refused[0]
        assert path.read_bytes() == content and home.get(spec(0))["result"] == {"f": 0.75}
    path.unlink()  # as it said
    assert merge(carried, home) == (1, 3, [])


def test_with_replace_the_newcomer_is_taken(carried, home):
    put(home, 0, f=0.75)
    assert merge(carried, home, replace=True) == (4, 0, []) and home.get(spec(0))["result"] != {"f": 0.75}
    assert merge(carried, home, replace=True) == (0, 4, [])


def test_another_stores_folder_is_merged_as_it_is(there, home, carried):
    assert merge(there.folder, home) == (4, 0, []) and files(home.folder) == files(there.folder)


def test_a_file_that_cannot_be_read_is_refused_and_the_others_are_merged(there, home, carried):
    path = there.folder / "train" / "0.json"
    path.mkdir()
    added, already, refused = merge(there.folder, home)
    assert (added, already, len(refused)) == (4, 0, 1) and str(path) in refused[0]


def test_of_two_versions_in_a_bundle_the_first_is_taken(tmp_path, there, home):
    bundle = Bundle(tmp_path / "bundle")
    for f in (1.0, 2.0):
        bundle.add(put(there, 1, f=f))
    added, already, refused = merge(bundle.folder, home)
    assert (added, already) == (1, 0) and "line 2" in refused[0] and home.get(spec(1))["result"] == {"f": 1.0}
