"""unmix simulate: layouts, specs, patterns from files, statistics, and what is refused."""
import h5py
import numpy
import pytest


def truth_of(path):
    with h5py.File(path) as file:
        experiment = next(iter(file["Experiments"].values()))
        results = experiment["learning_results"]
        return results["loadings"][()], results["factors"][()]


def test_scan_and_truth_agree(unmix, tmp_path):
    scan, truth = tmp_path / "scan.npy", tmp_path / "truth.hspy"
    done = unmix("simulate", "-o", scan, "--truth", truth, "--size", "20x30", "--pattern-size", "40x48",
                 "--states", 4, "--counts", 5000, "--seed", 4)
    assert done["shape"] == [20, 30, 40, 48] and done["dtype"] == "uint16"
    data = numpy.load(scan)
    loadings, factors = truth_of(truth)
    expected = loadings.astype(float) @ factors.T.astype(float)
    assert numpy.allclose(loadings.sum() / 600, 5000, rtol=1e-5)
    x = data.reshape(600, -1).astype(float)
    # Every entry against its own mean: chi-squared terms of mean 1 and variance 2 + 1/m.
    chi = ((x - expected) ** 2 / expected).sum()
    spread = numpy.sqrt((2 + 1 / expected).sum())
    assert abs(chi - x.size) < 5 * spread


def test_same_bytes_for_any_threads_and_formats_agree(unmix, tmp_path):
    options = ["--size", "33x17", "--pattern-size", "32x32", "--layout", "discs", "--seed", 11]
    arrays = []
    for threads in (1, 2, 3):
        path = tmp_path / f"scan{threads}.npy"
        unmix("simulate", "-o", path, "--threads", threads, *options)
        arrays.append(path.read_bytes())
    assert arrays[0] == arrays[1] == arrays[2]
    path = tmp_path / "scan.hspy"
    unmix("simulate", "-o", path, *options)
    with h5py.File(path) as file:
        experiment = next(iter(file["Experiments"].values()))
        assert (experiment["data"][()] == numpy.load(tmp_path / "scan1.npy")).all()
        assert experiment["axis-1"].attrs["units"] == "nm"


def test_spec_file_gives_what_options_give(unmix, tmp_path):
    spec = tmp_path / "specimen.ini"
    spec.write_text("[simulate]\nsize = 12x14\npattern-size = 24x24\nlayout = stripes\nborder = 1.5\n"
                    "counts = 300\nregions = 6\nno-noise = true\ndtype = f32\n")
    unmix("simulate", spec, "-o", tmp_path / "a.npy", "--counts", 600)
    unmix("simulate", "-o", tmp_path / "b.npy", "--size", "12x14", "--pattern-size", "24x24",
          "--layout", "stripes", "--border", 1.5, "--counts", 600, "--regions", 6, "--no-noise",
          "--dtype", "f32")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    data = numpy.load(tmp_path / "a.npy")
    assert data.dtype == numpy.float32 and abs(data.sum(dtype=float) / (12 * 14) - 600) < 1e-2
    spec.write_text("[simulate]\nsize = 12x14\nbordr = 1\n")
    assert "line 3" in unmix.fails("simulate", spec, "-o", tmp_path / "c.npy")
    spec.write_text("[simulate]\nno-noise = maybe\n")
    assert "no-noise" in unmix.fails("simulate", spec, "-o", tmp_path / "c.npy", status=2)
    assert not (tmp_path / "c.npy").exists()


def test_patterns_and_labels_from_files(unmix, tmp_path):
    random = numpy.random.default_rng(0)
    patterns = random.random((3, 5, 7))
    labels = random.integers(0, 3, (6, 9)).astype(numpy.uint8)
    numpy.savez(tmp_path / "ends.npz", ends=patterns)
    numpy.save(tmp_path / "labels.npy", labels)
    unmix("simulate", "-o", tmp_path / "scan.npy", "--truth", tmp_path / "truth.hspy", "--patterns",
          f"{tmp_path / 'ends.npz'}:ends", "--layout", tmp_path / "labels.npy", "--border", 0,
          "--counts", 0, "--dtype", "f32")
    data = numpy.load(tmp_path / "scan.npy")
    assert data.shape == (6, 9, 5, 7)
    assert numpy.allclose(data, patterns[labels], rtol=1e-6)
    labels[2, 3] = 3
    numpy.save(tmp_path / "labels.npy", labels)
    line = unmix.fails("simulate", "-o", tmp_path / "other.npy", "--patterns",
                       f"{tmp_path / 'ends.npz'}:ends", "--layout", tmp_path / "labels.npy")
    assert "(2, 3)" in line and "label 3" in line
    assert list(tmp_path.glob("other*")) == []


@pytest.mark.parametrize("arguments, status, word", [
    (["-o", "x.npy", "--size", "5"], 2, "5"),
    (["-o", "x.npy", "--dtype", "complex"], 2, "dtype"),
    (["-o", "x.npy", "--dtype", "i16"], 1, "int16"),
    (["-o", "x.npy", "--counts", "-3"], 2, "counts"),
    (["-o", "x.npy", "--regions", "100000"], 2, "regions"),
    (["-o", "x.npy", "--layout", "missing.npy"], 1, "missing.npy"),
    (["-o", "x.npy", "--patterns", "missing.npy"], 1, "missing.npy"),
    (["-o", "x.csv"], 2, "x.csv"),
    (["-o", "x.npy", "--size", "3000000000x3000000000"], 2, "3000000000"),
    ([], 2, "-o"),
])
def test_refusals_are_one_line_and_leave_nothing(unmix, tmp_path, arguments, status, word):
    line = unmix.fails("simulate", *arguments, status=status, cwd=tmp_path)
    assert word in line
    assert list(tmp_path.iterdir()) == []


def test_negative_and_empty_patterns_are_refused(unmix, tmp_path):
    for value in (-1.0, numpy.nan, numpy.inf, 0.0):
        patterns = numpy.ones((2, 4, 4))
        patterns[1] = 0.0
        patterns[1, 2, 3] = value
        numpy.save(tmp_path / "ends.npy", patterns)
        line = unmix.fails("simulate", "-o", tmp_path / "x.npy", "--patterns", tmp_path / "ends.npy")
        assert "pattern 1" in line
        assert not (tmp_path / "x.npy").exists()


def test_outputs_are_not_replaced_without_force(unmix, tmp_path):
    options = ["--size", "4x4", "--pattern-size", "8x8", "--regions", 8]
    unmix("simulate", "-o", tmp_path / "x.npy", *options)
    assert "--force" in unmix.fails("simulate", "-o", tmp_path / "x.npy", *options)
    unmix("simulate", "-o", tmp_path / "x.npy", "--force", *options)
    line = unmix.fails("simulate", "-o", tmp_path / "y.hspy", "--truth", tmp_path / "y.hspy", *options,
                       status=2)
    assert "two names" in line
