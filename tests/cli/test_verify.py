"""unmix verify: planted faults, files, intervals, refusals."""
import importlib.util

import numpy as np
import pytest

from conftest import ROOT


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("verify_table", ROOT / "tools" / "verify_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("fault", ["clean", "split", "afterglow", "hot_pixel", "unmodelled", "lone"])
def test_planted_faults_are_flagged_and_nothing_else(unmix, table, tmp_path, fault):
    bench = table.Bench(unmix.path, tmp_path, 3)
    table.FAULTS[fault](bench)
    found = bench.verify()
    assert table.flags(found) == ({fault} - {"clean"})
    if fault == "split":
        assert len(found["merges"]) == 1
    if fault == "unmodelled":
        assert found["fit"]["worst"][0]["sigmas"] > 6 and found["fit"]["positions_beyond_noise"] >= 2 / 1024
    if fault == "clean":
        strongest = table.coverage(tmp_path)[1]
        assert 0.85 <= strongest <= 0.97
        with np.load(tmp_path / "errors.npz", allow_pickle=True) as errors:
            assert errors["loading_error"].shape == (32, 32, 4) and errors["pattern_error"].shape == (4, 48, 48)


def unit(patterns):
    return patterns / np.linalg.norm(patterns, axis=1, keepdims=True)


def test_halves_of_the_counts_tell_the_scatter_of_repeated_exposures(unmix, tmp_path):
    """Errors from dose halves against two exposures of one specimen, with noise drawn by NumPy."""
    words = ("--size", "24x24", "--pattern-size", "24x24", "--states", 3, "--counts", 2000, "--seed", 5)
    unmix("simulate", "-o", tmp_path / "mean.npy", "--truth", tmp_path / "truth.npz", *words, "--no-noise", "--dtype", "f32")
    mean = np.load(tmp_path / "mean.npy").astype("f8")
    rng = np.random.default_rng(12)
    found, patterns = [], []
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", rng.poisson(mean).astype("u2"))
        unmix("nmf", tmp_path / f"{name}.npy", "-k", 3, "-o", tmp_path / f"{name}.npz", "--no-report")
        with np.load(tmp_path / f"{name}.npz", allow_pickle=True) as result:
            found.append(result["loadings"] * result["factors"].sum(0))
            patterns.append(result["factors"].T)
    other = [int(np.argmax(row)) for row in unit(patterns[0]) @ unit(patterns[1]).T]
    assert sorted(other) == [0, 1, 2]
    evidence = unmix("verify", tmp_path / "a.npz", "--no-page")
    strongest = found[0].argmax(1)
    weights = 1 / np.sqrt(np.maximum(mean.reshape(-1, 576).sum(0), 1e-9))
    for c, card in enumerate(evidence["components"]):
        at = strongest == c
        scatter = np.sqrt(((found[0][at, c] - found[1][at, other[c]]) ** 2).mean() / 2) / found[0][at, c].mean()
        assert card["half_standard_error"] == pytest.approx(scatter, rel=0.25)
        assert card["half_standard_error"] == pytest.approx(card["standard_error"], rel=0.3)
        pattern = [patterns[0][c] / patterns[0][c].sum(), patterns[1][other[c]] / patterns[1][other[c]].sum()]
        apart = np.linalg.norm(pattern[0] - pattern[1]) / np.sqrt(2) / np.linalg.norm(pattern[0])
        assert card["half_pattern_error"] == pytest.approx(apart, rel=0.3)
        # Whole exposures have half of the noise of halves: cosine 1 / (1 + e) against 1 / (1 + 2 e).
        whole = unit(np.array(pattern) * weights)
        e = 1 / (whole[0] @ whole[1]) - 1
        assert card["half_cosine"] == pytest.approx(1 / (1 + 2 * e), abs=0.01)
        assert card["noise_cosine"] == pytest.approx(card["half_cosine"], abs=0.01)
        assert card["start_share"] == 1 and card["start_cosine"] > 0.99
    assert evidence["fit"]["refit_positions"] == 576 and evidence["fit"]["starts_alike"] >= 4


def test_one_component_too_many_does_not_settle(unmix, table, tmp_path):
    bench = table.Bench(unmix.path, tmp_path, 2)
    table.clean_built_in(bench)
    bench.fit(table.STATES + 1)
    found = bench.verify()
    assert "unstable" in table.flags(found)
    errors = [(c["half_standard_error"], c["standard_error"]) for c in found["components"]]
    assert sum(half > 3 * noise for half, noise in errors) >= 1 and sum(half < 1.5 * noise for half, noise in errors) >= 3


def test_what_is_no_count_is_not_split(unmix, tmp_path):
    unmix("simulate", "-o", tmp_path / "scan.npy", "--size", "12x12", "--pattern-size", "16x16", "--states", 3, "--no-noise",
          "--dtype", "f32")
    unmix("nmf", tmp_path / "scan.npy", "-k", 3, "-o", tmp_path / "r.npz", "--no-report", "--weights", "none")
    got = unmix("verify", tmp_path / "r.npz", "--no-page")
    assert all(c["half_cosine"] is None and c["start_cosine"] > 0.9 for c in got["components"])
    left = unmix("verify", tmp_path / "r.npz", "--no-page", "--no-refit")
    assert left["fit"]["starts"] == 0 and left["components"][0]["start_cosine"] is None
    assert left["fit"]["row_correlation"] is not None


def test_share_follows_what_stands_for_thickness_and_tilt(unmix, tmp_path):
    """A wedge: two patterns mixed along x, one with more of its counts scattered, and to one side."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:24, :24]
    beam = np.exp(-((y - 12) ** 2 + (x - 12) ** 2) / 3)
    ends = [beam + 0.1 * np.exp(-((y - 12) ** 2 + (x - 4) ** 2) / 4), beam + 0.5 * np.exp(-((y - 19) ** 2 + (x - 16) ** 2) / 4)]
    ends = np.array([e / e.sum() for e in ends])
    part = np.linspace(0, 1, 16)[None, :].repeat(8, 0)[..., None, None]
    np.save(tmp_path / "scan.npy", rng.poisson(4000 * ((1 - part) * ends[0] + part * ends[1])).astype("u2"))
    unmix("nmf", tmp_path / "scan.npy", "-k", 2, "-o", tmp_path / "r.npz", "--no-report")
    cards = unmix("verify", tmp_path / "r.npz", "--no-page")["components"]
    signs = sorted(c["thickness_correlation"] for c in cards)
    assert signs[0] < -0.9 and signs[1] > 0.9 and all(c["tilt_correlation"] > 0.9 for c in cards)


def test_page_and_what_is_refused(unmix, tmp_path):
    unmix("simulate", "-o", tmp_path / "scan.npy", "--size", "12x12", "--pattern-size", "16x16", "--states", 3)
    unmix("nmf", tmp_path / "scan.npy", "-k", 3, "-o", tmp_path / "r.npz", "--no-report", "--bin-signal", 2)
    unmix("svd", tmp_path / "scan.npy", "-k", 3, "-o", tmp_path / "s.npz")
    got = unmix("verify", tmp_path / "r.npz")
    page = (tmp_path / "r-verify.html").read_text()
    assert got["files"] == [str(tmp_path / "r-verify.html")]
    assert "Is it real?" in page and "Component 2" in page and "Measured" in page
    assert got["fit"]["row_correlation"] is not None  # the scan was found, and prepared as for the result
    assert unmix("verify", tmp_path / "r.npz", "--no-page", "--no-scan")["fit"]["row_correlation"] is None
    assert "exists" in unmix.fails("verify", tmp_path / "r.npz")
    assert "exclude each other" in unmix.fails("verify", tmp_path / "r.npz", "--no-page", "-o", "x.html", status=2)
    assert "non-negative" in unmix.fails("verify", tmp_path / "s.npz", "--no-page")
    assert "give the preparation options" in unmix.fails(
        "verify", tmp_path / "r.npz", tmp_path / "scan.npy", "--bin-signal", 4, "--no-page")


def test_a_scan_that_cannot_be_read_whole_is_not_shown(unmix, tmp_path):
    unmix("simulate", "-o", tmp_path / "scan.hspy", "--size", "24x24", "--pattern-size", "64x64", "--states", 3)
    unmix("nmf", tmp_path / "scan.hspy", "-k", 2, "-o", tmp_path / "r.npz", "--no-report")
    assert "no-scan excludes" in unmix.fails("verify", tmp_path / "r.npz", tmp_path / "scan.hspy", "--no-scan", status=2)
    stored = bytearray((tmp_path / "scan.hspy").read_bytes())
    stored[-20000:-10000] = bytes(10000)
    (tmp_path / "scan.hspy").write_bytes(stored)
    got = unmix("verify", tmp_path / "r.npz")
    assert got["fit"]["row_correlation"] is None and len(got["fit"]["worst"]) > 0
    assert "Measured</fig" not in (tmp_path / "r-verify.html").read_text()


def test_equal_patterns_have_no_interval(unmix, tmp_path):
    unmix("simulate", "-o", tmp_path / "scan.npy", "--size", "12x12", "--pattern-size", "16x16", "--states", 3)
    unmix("nmf", tmp_path / "scan.npy", "-k", 3, "-o", tmp_path / "r.npz", "--no-report")
    with np.load(tmp_path / "r.npz", allow_pickle=True) as stored:
        parts = dict(stored)
    parts["factors"] = parts["factors"].copy()
    parts["factors"][:, 1] = parts["factors"][:, 0]
    np.savez(tmp_path / "r.npz", **parts)
    unmix("verify", tmp_path / "r.npz", "--no-page", "--no-scan", "--save", tmp_path / "errors.npz")
    with np.load(tmp_path / "errors.npz", allow_pickle=True) as errors:
        unknown = (parts["loadings"].reshape(12, 12, 3)[..., :2] > 0).all(-1)  # where one is zero the other is known
        assert unknown.any() and np.isnan(errors["loading_error"][unknown]).any(-1).all()
        assert np.isnan(errors["fraction_low"][unknown]).all()
