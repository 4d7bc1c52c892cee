"""Kaldi's features and alignments: each form of archive, what is left out with a warning, and what is refused."""

import gzip
import os
import pickle
import struct
import sys
import warnings

import numpy as np
import pytest

kaldiio = pytest.importorskip("kaldiio")
from lbgap.speech import kaldi

pytestmark = [pytest.mark.filterwarnings("error"), pytest.mark.filterwarnings("ignore:.*the paper's very data")]
PDFS = 50
LENGTHS = {"train": {"fb": 3, "fa": 5, "fd": 1, "fc": 4}, "test": {"mb": 2, "ma": 6}}  # not in order
FLOAT, INT = np.float32, np.int32


@pytest.fixture
def tables():
    """Features and alignments: tables["train"]["feats"] is a name -> (T, 40) dict."""
    rng = np.random.default_rng(0)
    draw = {
        "feats": lambda t: rng.normal(size=(t, 40)).astype(FLOAT),
        "ali": lambda t: rng.integers(0, PDFS, t).astype(INT),
    }
    return {
        part: {stem: {name: d(t) for name, t in lengths.items()} for stem, d in draw.items()}
        for part, lengths in LENGTHS.items()
    }


@pytest.fixture
def folder(tmp_path, tables):
    """The tables as binary archives."""
    for part, stems in tables.items():
        (tmp_path / part).mkdir()
        for stem, table in stems.items():
            save(tmp_path / part / f"{stem}.ark", table)
    (tmp_path / "num_pdfs").write_text(f"{PDFS}\n")
    return tmp_path


def save(path, table, **form):
    kaldiio.save_ark(str(path), table, **form)


def expected(tables):
    """The six arrays, the slow way."""
    joined = lambda table: np.concatenate([table[name] for name in sorted(table)])
    lengths = [np.array([LENGTHS[part][name] for name in sorted(LENGTHS[part])]) for part in tables]
    return [joined(tables[part][stem]) for part in tables for stem in ("feats", "ali")] + lengths


def same(got, want):
    assert len(got) == 6
    for a, b, dtype in zip(got, want, (np.float32, np.int64, np.float32, np.int64, np.int64, np.int64)):
        assert a.dtype == dtype and a.shape == b.shape and np.array_equal(a, b)
    return True


# -------------------------------------------------------------------------------------------------- forms of archive


def text(table):
    """Kaldi's text form, written by hand."""
    numbers = lambda row: " ".join(str(v) for v in row.tolist())
    matrix = lambda m: " [\n  " + " \n  ".join(map(numbers, m)) + " ]"
    return "".join(f"{name} {matrix(v) if v.ndim == 2 else numbers(v)}\n" for name, v in table.items()).encode()


def binary(table):
    """Kaldi's binary form, written by hand."""
    out = b""
    for name, v in table.items():
        out += name.encode() + b" \0B"
        if v.ndim == 2:
            out += (
                b"FM \4"
                + struct.pack("<i", len(v))
                + b"\4"
                + struct.pack("<i", v.shape[1])
                + struct.pack(f"<{v.size}f", *v.flat)
            )
        else:
            out += b"".join(b"\4" + struct.pack("<i", k) for k in (len(v), *v))
    return out


def test_the_six_arrays_have_the_utterances_in_the_order_of_their_names(folder, tables):
    got = kaldi.read(folder)
    assert same(got, expected(tables)) and same(kaldi.read(str(folder)), got)
    assert [a.shape for a in got] == [(13, 40), (13,), (8, 40), (8,), (4,), (2,)]
    assert got[4].tolist() == [5, 3, 4, 1] and got[5].tolist() == [6, 2]  # fa fb fc fd, ma mb
    assert kaldi.classes(folder) == kaldi.classes(str(folder)) == PDFS


@pytest.mark.parametrize("form", [text, binary])
def test_archives_written_by_hand_are_read(folder, tables, form):
    tables["train"]["feats"]["fa"][0, :3] = 3, -1e-7, 2.5e10
    for part, stems in tables.items():
        for stem, table in stems.items():
            (folder / part / f"{stem}.ark").write_bytes(form(table))
    assert same(kaldi.read(folder), expected(tables))


def test_text_as_kaldi_and_as_people_write_it(folder):
    row = lambda *first: " ".join(map(str, first + 38 * (0,)))
    (folder / "train" / "feats.ark").write_bytes(
        f"u1  [\n  {row(3, 2.5)} \n  {row(-1, 1e-3)} ]\n\nu2 [ \r\n {row(7, 8)}\r\n]\r\n".encode()
    )
    (folder / "train" / "ali.ark").write_bytes(b"u2 9\nu1 4 0 \n")
    x, y, _, _, lengths, _ = kaldi.read(folder)
    assert np.array_equal(x[:, :2], np.array([[3, 2.5], [-1, 1e-3], [7, 8]], FLOAT)) and not x[:, 2:].any()
    assert y.tolist() == [4, 0, 9] and lengths.tolist() == [2, 1]
    save(
        folder / "train" / "ali.ark", {"u1": np.array([4, 0]), "u2": np.array([9])}, text=True
    )  # kaldiio puts brackets
    assert kaldi.read(folder)[1].tolist() == [4, 0, 9]
    (folder / "train" / "ali.ark").write_bytes(b"u2 16777217\nu1 4 0\n")  # would not fit a float
    with pytest.raises(ValueError, match="u2: pdf-id 16777217 is not"):
        kaldi.read(folder)


@pytest.mark.parametrize("method, steps", [(2, 60), (3, 65535), (5, 255)])  # CM, CM2, CM3
def test_compressed_archives_are_read(folder, tables, method, steps):
    x = np.random.default_rng(1).uniform(-1, 1, (5, 40)).astype(FLOAT)
    tables["train"]["feats"]["fa"] = x
    save(folder / "train" / "feats.ark", tables["train"]["feats"], compression_method=method)
    got = kaldi.read(folder)
    assert got[0].dtype == np.float32 and 0 < abs(got[0][:5] - x).max() < 2 / steps
    assert np.array_equal(got[1], expected(tables)[1])


def test_compressed_archives_written_by_hand_are_read(folder):
    header = lambda kind, rows: b"\0B" + kind + b" " + struct.pack("<ffii", -1, 2, rows, 40)  # least value, range
    columns = 40 * struct.pack("<4H", 0, 16384, 49152, 65535) + 40 * bytes([0, 64, 192, 255])
    (folder / "train" / "feats.ark").write_bytes(
        b"u1 " + header(b"CM", 4) + columns + b"u2 " + header(b"CM3", 1) + 40 * bytes([51])
    )
    (folder / "train" / "ali.ark").write_bytes(b"u1 1 2 3 4\nu2 5\n")
    x = kaldi.read(folder)[0]
    assert np.allclose(x, np.array([-1, -0.5, 0.5, 1, -0.6])[:, None], atol=1e-4) and x.shape == (5, 40)


@pytest.mark.parametrize("change", [lambda v: np.tile(v, 9), lambda v: v.astype(np.float64)], ids=["360", "double"])
def test_spliced_features_stay_as_they_are_and_doubles_become_single(folder, tables, change):
    for part in tables:
        tables[part]["feats"] = {name: change(v) for name, v in tables[part]["feats"].items()}
        save(folder / part / "feats.ark", tables[part]["feats"])
    assert same(kaldi.read(folder), expected(tables))


def split(path, table, count):
    path.unlink()
    for k in range(count):
        save(path.with_suffix(f".{k + 1}.ark"), dict(list(table.items())[k::count]))


def test_parts_are_as_good_as_the_whole_but_none_may_be_missing(folder, tables):
    split(folder / "train" / "feats.ark", tables["train"]["feats"], 3)
    split(folder / "test" / "ali.ark", tables["test"]["ali"], 11)  # some are empty
    (folder / "test" / "ali.old.ark").write_text("is no part")
    assert same(kaldi.read(folder), expected(tables))
    (folder / "train" / "feats.2.ark").unlink()
    with pytest.raises(FileNotFoundError, match="train/feats.2.ark is not there.*of 2 parts.*copy-feats"):
        kaldi.read(folder)


def test_an_scp_is_followed_from_its_own_folder(folder, tables, monkeypatch):
    train, test = folder / "train", folder / "test"
    (folder / "elsewhere").mkdir()
    for path, form in ((train / "feats", {}), (train / "ali", {"text": True})):
        path.with_suffix(".ark").unlink()
        kaldiio.save_ark(
            str(folder / "elsewhere" / path.name), tables["train"][path.name], scp=str(path.with_suffix(".scp")), **form
        )
    scp = (train / "feats.scp").read_text()
    assert str(folder) in scp and same(kaldi.read(folder), expected(tables))
    (train / "feats.scp").write_text(scp.replace(str(folder), ".."))
    (test / "feats.ark").unlink()
    for name, matrix in tables["test"]["feats"].items():  # a file for each: no byte is given
        kaldiio.save_mat(str(test / f"{name}.mat"), matrix)
    (test / "feats.scp").write_text("ma ma.mat\nmb\tmb.mat\n")
    monkeypatch.chdir(os.sep)
    assert same(kaldi.read(folder), expected(tables))


@pytest.mark.parametrize(
    "content, error, message",
    [
        (
            "fa /other/raw.1.ark:3\n",
            FileNotFoundError,
            "feats.scp.*'fa'.*/other/raw.1.ark, which is not there.*copy-feats.*feats.ark",
        ),
        ("fa copy-feats x.ark - |\n", FileNotFoundError, "copy-feats x.ark - |, which is not there"),
        ("fa\n", ValueError, "feats.scp.*'fa'.*garbled.*FILE:BYTE"),
        ("fa whole.ark:3\nfb whole.ark:4", ValueError, "feats.scp is truncated"),
        ("fa whole.ark:99\n", ValueError, "whole.ark .byte 99., utterance fa: truncated or garbled"),
        ("fa whole.ark:999999\n", ValueError, "whole.ark .byte 999999., utterance fa: truncated or garbled"),
    ],
)
def test_an_scp_that_leads_nowhere_is_refused(folder, content, error, message):
    (folder / "train" / "feats.ark").rename(folder / "train" / "whole.ark")
    (folder / "train" / "feats.scp").write_text(content)
    with pytest.raises(error, match=message):
        kaldi.read(folder)


def test_an_scp_of_alignments_that_leads_nowhere_is_told_their_command(folder):
    (folder / "train" / "ali.ark").unlink()
    (folder / "train" / "ali.scp").write_text("fa gone.ark:3\n")
    with pytest.raises(FileNotFoundError, match="train/gone.ark, which is not there.*: ali-to-pdf .*train/ali.ark"):
        kaldi.read(folder)


# -------------------------------------------------------------------------------------------------- files that lack


@pytest.mark.parametrize(
    "path, message",
    [
        ("num_pdfs", "tree-info .*grep num-pdfs.*awk '{print .2}' > .*num_pdfs"),
        (
            "train/feats.ark",
            "nor feats.scp, nor feats.1.ark; in your Kaldi recipe: copy-feats scp:.*ark:.*train/feats.ark",
        ),
        ("train/ali.ark", "nor ali.scp.*ali-to-pdf .*final.mdl .*ark:.*train/ali.ark"),
        ("test/feats.ark", "copy-feats"),
        ("test/ali.ark", "ali-to-pdf"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_makes_it(folder, path, message):
    (folder / path).unlink()
    with pytest.raises(FileNotFoundError, match=f"^{folder / path} is not there.*{message}"):
        kaldi.read(folder)


def test_a_missing_folder_is_named_with_what_it_should_hold(folder):
    for ask in (kaldi.read, kaldi.classes):
        with pytest.raises(
            FileNotFoundError, match=f"{folder}/timit is no folder.*train/feats.ark.*test/ali.ark.*num_pdfs"
        ):
            ask(folder / "timit")
    (folder / "test").rename(folder / "dev")
    with pytest.raises(FileNotFoundError, match="test/feats.ark"):
        kaldi.read(folder)


@pytest.mark.parametrize("content", ["", "0", "-3", "12.5", "num-pdfs 1973", "1973\n1973", "many"])
def test_num_pdfs_is_one_positive_integer(folder, content):
    (folder / "num_pdfs").write_text(content)
    with pytest.raises(ValueError, match="num_pdfs holds b'.*expected one positive integer.*tree-info"):
        kaldi.classes(folder)


def test_without_kaldiio_the_way_to_install_it_is_told(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    with pytest.raises(ImportError, match=r'pip install "lbgap\[speech\]"'):
        kaldi.read(folder)


# ------------------------------------------------------------------------------------------------- what is left out


@pytest.mark.parametrize(
    "lacks, kept, what",
    [("ali", "feats", "features but no alignment"), ("feats", "ali", "an alignment but no features")],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_an_utterance_without_the_other_half_is_left_out_with_one_warning(folder, tables, part, lacks, kept, what):
    table = tables[part][lacks]
    dropped = sorted(table)[:-1]
    for name in dropped:
        del table[name]
    save(folder / part / f"{lacks}.ark", table)
    with pytest.warns(
        UserWarning, match=f"{part}: {len(dropped)} of {len(dropped) + 1} utterances have {what}.*, {dropped[0]} "
    ) as caught:
        got = kaldi.read(folder)
    assert len([w for w in caught if "left out" in str(w.message)]) == 1 and {w.filename for w in caught} == {__file__}
    for name in dropped:
        del tables[part][kept][name]
    x, y, lengths = (got[k] for k in ((0, 1, 4) if part == "train" else (2, 3, 5)))
    assert np.array_equal(x, [*tables[part]["feats"].values()][0]) and lengths.tolist() == [len(y)] == [len(x)]


@pytest.mark.parametrize("table", [{}, {"zz": np.zeros((2, 40), FLOAT)}])
def test_with_no_utterance_left_there_is_nothing_to_read(folder, table):
    save(folder / "test" / "feats.ark", table)
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="test: no utterance has both"):
        kaldi.read(folder)


# ---------------------------------------------------------------------------------------------- the paper's counts


def counts(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kaldi.read(folder)
    assert all(w.category is UserWarning and w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


def test_each_count_that_is_not_the_papers_is_told(folder):
    pdfs, train, test = counts(folder)
    assert "num_pdfs" in pdfs and "50 pdfs" in pdfs and "1,973 (Appendix B.2)" in pdfs
    assert "train has 13 frames" in train and "721,329 (Table 5)" in train
    assert "test has 8 frames" in test and "310,621 (Table 5)" in test
    assert all("not on the paper's very data" in message for message in (pdfs, train, test))


def test_the_papers_counts_are_not_warned_of_and_classes_never_warns(folder, monkeypatch):
    monkeypatch.setattr(kaldi, "FRAMES", {"train": 13, "test": 8})
    assert len(counts(folder)) == 1
    monkeypatch.setattr(kaldi, "CLASSES", PDFS)
    assert counts(folder) == []
    monkeypatch.setattr(kaldi, "FRAMES", {"train": 8, "test": 8})
    assert len(counts(folder)) == 1
    monkeypatch.setattr(kaldi, "CLASSES", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kaldi.classes(folder) == PDFS


# -------------------------------------------------------------------------------------------------- what is refused


def with_nan(value, bad):
    value[2, 7] = bad
    return value


WRONG = {  # of training utterance fb, with 3 frames
    "a vector": ("feats", lambda v: v[0], r"train, utterance fb: the features have shape \(40,\); expected a matrix"),
    "one utterance of another D": ("feats", lambda v: np.tile(v, 9), "utterance fb.* D = 360, those of fa 40"),
    "an unknown D": ("feats", lambda v: v[:, :13], "utterance fb.* D = 13; expected 40, or 360"),
    "nan": ("feats", lambda v: with_nan(v, np.nan), "utterance fb: the features hold nan; expected finite"),
    "inf": ("feats", lambda v: with_nan(v, -np.inf), "utterance fb: the features hold -inf; expected finite"),
    "fewer features": ("feats", lambda v: v[:2], "utterance fb: the alignment has 3 frames, the features 2"),
    "shorter alignment": ("ali", lambda v: v[:1], "utterance fb: the alignment has 1 frames, the features 3"),
    "pdf-id too great": (
        "ali",
        lambda v: np.array([0, 49, 50], INT),
        "fb: pdf-id 50 is not one of num_pdfs = 50,.*transition-ids.*ali-to",
    ),
    "pdf-id negative": ("ali", lambda v: np.array([0, -1, 3], INT), "fb: pdf-id -1 is not one of num_pdfs = 50"),
    "fraction": (
        "ali",
        lambda v: np.array([0, 2.5, 3], FLOAT),
        "utterance fb: the alignment holds 2.5; expected a vector .*integers",
    ),
    "nan for a pdf-id": ("ali", lambda v: np.array([0, np.nan, 3], FLOAT), "utterance fb: the alignment holds nan"),
    "inf for a pdf-id": ("ali", lambda v: np.array([0, np.inf, 3], FLOAT), "utterance fb: pdf-id inf is not"),
    "a matrix of pdf-ids": (
        "ali",
        lambda v: np.ones((3, 1), FLOAT),
        r"utterance fb: the alignment has shape \(3, 1\); expected a vector",
    ),
}


@pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused_with_the_utterances_name(folder, tables, wrong, text):
    stem, change, message = WRONG[wrong]
    table = tables["train"][stem]
    table["fb"] = change(table["fb"])
    save(folder / "train" / f"{stem}.ark", table, text=text)
    with pytest.raises(ValueError, match=message):
        kaldi.read(folder)


def test_the_last_pdf_is_allowed(folder, tables):
    tables["train"]["ali"]["fb"][:] = 0, PDFS - 1, 0
    save(folder / "train" / "ali.ark", tables["train"]["ali"])
    assert same(kaldi.read(folder), expected(tables))


def test_every_D_alike_but_unknown_is_refused_and_so_are_parts_of_different_D(folder, tables):
    save(folder / "test" / "feats.ark", {name: np.tile(v, 9) for name, v in tables["test"]["feats"].items()})
    with pytest.raises(ValueError, match="D is 40 in .*train and 360 in .*test; expected one D"):
        kaldi.read(folder)
    save(folder / "test" / "feats.ark", {name: v[:, :39] for name, v in tables["test"]["feats"].items()})
    with pytest.raises(ValueError, match="test, utterance ma.* D = 39"):
        kaldi.read(folder)


def test_no_utterance_is_in_both_parts_or_twice_in_one(folder, tables):
    for stem in ("feats", "ali"):
        save(folder / "test" / f"{stem}.ark", tables["test"][stem] | {"fb": tables["train"][stem]["fb"]})
    with pytest.raises(ValueError, match="utterance fb is in both .*train and .*test"):
        kaldi.read(folder)
    (folder / "train" / "ali.ark").write_bytes(2 * text(tables["train"]["ali"]))
    with pytest.raises(ValueError, match="train/ali.ark: utterance fb was there before"):
        kaldi.read(folder)
    (folder / "train" / "feats.ark").unlink()
    save(folder / "train" / "feats.1.ark", tables["train"]["feats"])
    save(folder / "train" / "feats.2.ark", {"fc": tables["train"]["feats"]["fc"]})
    with pytest.raises(ValueError, match="train/feats.2.ark: utterance fc was there before"):
        kaldi.read(folder)


def each(**form):
    """Archive the utterances one by one with kaldiio, to know where each ends."""

    def write(table, path):
        for name, value in table.items():
            save(path, {name: value}, **form)
            yield path.read_bytes()

    return write


FORMS = {
    "float": ("feats", each()),
    "double": ("feats", lambda table, path: each()({name: v.astype(float) for name, v in table.items()}, path)),
    "CM": ("feats", each(compression_method=2)),
    "CM2": ("feats", each(compression_method=3)),
    "CM3": ("feats", each(compression_method=5)),
    "text": ("feats", lambda table, path: [text({name: v.round(2)}) for name, v in table.items()]),
    "int": ("ali", each()),
    "int text": ("ali", lambda table, path: [text({name: v}) for name, v in table.items()]),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_cut_anywhere_is_told(folder, tables, form):
    stem, write = FORMS[form]
    path = folder / "test" / f"{stem}.ark"
    pieces = list(write(tables["test"][stem], path))  # of mb, then ma
    content, end = b"".join(pieces), len(pieces[0])
    path.write_bytes(content)
    assert kaldi.read(folder)[5].tolist() == [6, 2]
    last = len(content)
    dense = {
        *range(1, 60),
        *range(end - 12, end + 60),
        *range(last - 12, last),
    }  # names, headers and ends; the rest with a stride
    for cut in sorted(cut for cut in dense | {*range(1, last, 1 + last // 60)} if 0 < cut < last and cut != end):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=f"^{path}, utterance m{'b' if cut < end else 'a'}?: truncated or garbled"):
            kaldi.read(folder)
    path.write_bytes(content[:end])
    with pytest.warns(UserWarning, match="test: 1 of 2 utterances have .* left out, ma "):
        assert kaldi.read(folder)[5].tolist() == [2]


def test_what_is_no_archive_is_refused(folder, tables):
    path = folder / "train" / "feats.ark"
    content = path.read_bytes()
    rows = content.index(b"FM ") + 4
    for garbled in (
        gzip.compress(content),
        b"fa PKL" + pickle.dumps(tables["train"]["feats"]["fa"]),
        b"\xff\xfe\xfd " + content,
        content[:rows] + b"\2" + content[rows + 1 :],
        content[:rows] + 4 * b"\xff" + content[rows + 4 :],
        b"fa [ 1 2\n 3 ]\n",
        b"fa [\n 1 x ]\n",
        b"fa\n",
        b"fa [ 1 2\nfb [ 3 4 ]\n",
    ):
        path.write_bytes(garbled)
        with pytest.raises(ValueError, match=f"{path}.*garbled"):
            kaldi.read(folder)
