"""unmix nmf --each: several scans of different sizes, one fit, a result for each."""
import json

import numpy as np
import pytest

SIZES = [(5, 8), (7, 6), (4, 9)]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("series")
    patterns = np.full((3, 10, 12), 1.0)
    for state, (y, x) in enumerate([(3, 3), (8, 2), (6, 9)]):
        patterns[state, y, x] = 300
    for i, size in enumerate(SIZES):
        fractions = rng.dirichlet([0.3] * 3, size[0] * size[1])
        x = rng.poisson(np.tensordot(fractions, patterns, 1)).reshape(*size, 10, 12)
        np.save(folder / f"aged_{i}.npy", x.astype("u2"))
    return folder


def load(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_a_result_for_each(unmix, scans, tmp_path):
    mask = np.zeros(sum(y * x for y, x in SIZES), bool)
    mask[41] = True  # the second position of the second scan
    np.save(tmp_path / "mask.npy", mask[None])
    got = unmix("nmf", scans / "aged_*.npy", "-k", 3, "-o", tmp_path / "joint.npz", "--each", tmp_path / "each",
                "--navigation-mask", tmp_path / "mask.npy")
    whole, first = load(tmp_path / "joint.npz"), 0
    assert [told["shape"] for told in got["each"]] == [[*size, 10, 12] for size in SIZES]
    assert len(list((tmp_path / "each").iterdir())) == 6
    for i, (ny, nx) in enumerate(SIZES):
        part = load(tmp_path / "each" / f"aged_{i}.npz")
        rows = slice(first, first + ny * nx)
        assert part["factors"].tobytes() == whole["factors"].tobytes()
        assert part["loadings"].tobytes() == whole["loadings"][rows].tobytes()
        for name in ("residual_map", "residual_map_weighted", "sum_map"):
            np.testing.assert_array_equal(part[name], whole[name].ravel()[rows].reshape(ny, nx))
        head = json.loads(bytes(part["unmix_model"]))
        assert head["shape"] == [ny, nx, 10, 12] and head["provenance"]["input"]["shape"] == [ny, nx, 10, 12]
        assert head["provenance"]["joint"]["scan"] == i
        assert ("navigation_mask" in part) == (i == 1)
        # Its own maps: the sums of its own patterns, and shares of its own counts.
        own = np.load(scans / f"aged_{i}.npy")
        kept = np.isfinite(part["loadings"]).all(axis=1)
        np.testing.assert_allclose(part["sum_map"].ravel()[kept], own.sum(axis=(2, 3)).ravel()[kept])
        share = np.nansum(part["loadings"], axis=0) * part["factors"].sum(axis=0)
        np.testing.assert_allclose(got["each"][i]["shares"], share / share.sum(), rtol=1e-5)
        np.testing.assert_allclose(part["component_contribution"], share / share.sum(), rtol=1e-5)
        first += ny * nx
    assert not np.isfinite(load(tmp_path / "each" / "aged_1.npz")["loadings"][1]).any()


def test_results_for_hyperspy(unmix, scans, tmp_path):
    h5py = pytest.importorskip("h5py")
    unmix("nmf", scans / "aged_*.npy", "-k", 3, "-o", tmp_path / "joint.hspy", "-o", tmp_path / "joint.npz", "--each",
          tmp_path / "each")
    whole, first = load(tmp_path / "joint.npz"), 0
    for i, (ny, nx) in enumerate(SIZES):
        with h5py.File(tmp_path / "each" / f"aged_{i}.hspy") as file:
            results = next(iter(file["Experiments"].values()))["learning_results"]
            found = {name: results[name][...] for name in ("factors", "loadings")}
        np.testing.assert_array_equal(found["loadings"], whole["loadings"][first:first + ny * nx])
        np.testing.assert_array_equal(found["factors"], whole["factors"])
        first += ny * nx


@pytest.mark.parametrize("scan, options, status, words", [
    ("aged_0.npy", [], 2, "is one scan"),
    ("aged_*.npy", ["--crop-scan", "0:1,0:40"], 2, "belong to no one scan"),
    ("same_*.npy", [], 2, "would be one result"),
])
def test_what_cannot_be_split(unmix, scans, tmp_path, scan, options, status, words):
    spec = scans / scan
    if scan.startswith("same"):
        (tmp_path / "list.txt").write_text(f"{scans}/aged_0.npy\n{scans}/aged_0.npy\n")
        spec = f"@{tmp_path}/list.txt"
    line = unmix.fails("nmf", spec, "-k", 2, "-o", tmp_path / "joint.npz", "--each", tmp_path / "each", *options,
                       status=status)
    assert words in line
    assert not (tmp_path / "each").exists() and not (tmp_path / "joint.npz").exists()


def test_folder_in_use(unmix, scans, tmp_path):
    (tmp_path / "each").mkdir()
    (tmp_path / "each" / "precious").write_text("")
    line = unmix.fails("nmf", scans / "aged_*.npy", "-k", 2, "-o", tmp_path / "j.npz", "--each", tmp_path / "each")
    assert "is not empty" in line
