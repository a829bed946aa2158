"""unmix ica: what it writes, and what it refuses with one line."""
import numpy as np
import pytest


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("scan")
    patterns = np.full((3, 12, 12), 2.0)
    for state, (y, x) in enumerate([(3, 3), (8, 2), (6, 9)]):
        patterns[state, y, x] = 300
    labels = np.repeat([0, 1, 2], [6, 5, 4])[None, :].repeat(10, axis=0)
    np.save(folder / "scan.npy", rng.poisson(patterns[labels]).astype("u2"))
    return folder / "scan.npy"


def test_default_number_and_report(unmix, scan, tmp_path):
    """Three states: the singular values say so, and each map is high in one of them."""
    got = unmix("ica", scan, "-o", tmp_path / "i.npz")
    assert got["k"] == 3 and got["on"] == "patterns" and got["method"] == "fastica" and got["weighted"] is True
    assert {name.rsplit("/", 1)[-1] for name in got["files"]} == {"i.npz", "i.html"}
    assert "fastica" in (tmp_path / "i.html").read_text()
    with np.load(tmp_path / "i.npz") as file:
        assert file["loadings"].shape[1] > 3 and file["bss_loadings"].shape == (150, 3)
        patterns = file["bss_factors"].T.reshape(3, 12, 12)
    assert {np.unravel_index(abs(p).argmax(), p.shape) for p in patterns} == {(3, 3), (8, 2), (6, 9)}


@pytest.mark.parametrize("options, status, words", [
    (["-k", 0], 2, "-k"),
    (["-k", 151], 2, "151"),
    (["--tolerance", 0], 2, "--tolerance must be above 0"),
    (["--report", "r.html", "--no-report"], 2, "exclude each other"),
    (["--method", "jade"], 2, "fastica"),
])
def test_what_cannot_be_done(unmix, scan, tmp_path, options, status, words):
    line = unmix.fails("ica", scan, "-o", tmp_path / "i.npz", *options, status=status)
    assert words in line
    assert not list(tmp_path.iterdir())
