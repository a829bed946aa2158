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
