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


@pytest.mark.parametrize("fault", ["clean", "split", "afterglow", "hot_pixel", "unmodelled"])
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
        unknown = np.isnan(errors["loading_error"]).any(-1)
        assert unknown.any() and np.isnan(errors["fraction_low"][unknown]).all()
