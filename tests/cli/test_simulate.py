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


@pytest.mark.parametrize("name, options", [("a.blo", []), ("a.hspy", ["--compression", "gzip"]),
                                           ("a.hspy", ["--compression", "lz4"]), ("a.npy", [])])
def test_specimens_have_the_same_bytes_in_every_format(unmix, tmp_path, name, options):
    settings = ["nanowire", "--size", "20x60", "--pattern-size", "48x48", "--dtype", "u8", "--counts", 300,
                "--seed", 2, "--set", "bend_mrad=0", "--set", "thickness_step_nm=50", "--set", "precession_mrad=0"]
    unmix("simulate", *settings, "-o", tmp_path / "plain.npy", "--threads", 2)
    kept = []
    for threads in (1, 3):
        unmix("simulate", *settings, "-o", tmp_path / name, "--threads", threads, "--force", *options)
        kept.append((tmp_path / name).read_bytes())
    assert kept[0] == kept[1]
    unmix("convert", tmp_path / name, tmp_path / "back.npy")
    assert (numpy.load(tmp_path / "back.npy") == numpy.load(tmp_path / "plain.npy")).all()


def test_uniform_specimen_is_poisson_and_linear_in_dose(unmix, tmp_path):
    settings = ["empty", "--size", "48x40", "--pattern-size", "32x32", "--set", "pixel_per_A=0.1", "--seed", 7]
    truth = tmp_path / "truth.npz"
    unmix("simulate", *settings, "-o", tmp_path / "few.npy", "--counts", 400, "--truth", truth)
    fractions = numpy.load(truth)["fractions"].astype(float)
    assert abs(fractions.sum(axis=-1) - 1).max() < 1e-6
    for counts, name in ((400, "a.npy"), (1200, "b.npy")):
        unmix("simulate", *settings, "-o", tmp_path / name, "--counts", counts, "--no-noise", "--dtype", "f32")
    mean, thrice = (numpy.load(tmp_path / name)[0, 0].ravel().astype(float) for name in ("a.npy", "b.npy"))
    assert numpy.allclose(thrice, 3 * mean, rtol=1e-5) and 300 < mean.sum() <= 400
    x = numpy.load(tmp_path / "few.npy").reshape(-1, mean.size).astype(float)
    assert (x[:, mean == 0] == 0).all()
    x, mean = x[:, mean > 0], mean[mean > 0]
    spread = numpy.sqrt((2 + 1 / mean).sum() * len(x))
    assert abs(((x - mean) ** 2 / mean).sum() - x.size) < 5 * spread
    # Counts of one pixel over the field, summed, against the same mean.
    total = len(x) * mean
    chi = ((x.sum(axis=0) - total) ** 2 / total).sum()
    assert abs(chi - mean.size) < 5 * numpy.sqrt((2 + 1 / total).sum())


@pytest.mark.parametrize("kind", ["nanowire", "precipitates", "nanoparticles", "polycrystal", "glass"])
def test_fractions_of_specimens_sum_to_one(unmix, tmp_path, kind):
    unmix("simulate", kind, "-o", tmp_path / "s.npy", "--truth", tmp_path / "t.npz", "--size", "16x16", "--pattern-size",
          "16x16", "--set", "precession_mrad=0", "--set", "thickness_step_nm=50", "--set", "pixel_per_A=0.15")
    fractions = numpy.load(tmp_path / "t.npz")["fractions"].astype(float)
    assert fractions.min() >= 0 and abs(fractions.sum(axis=-1) - 1).max() < 1e-6


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


KINDS = ["nanowire", "precipitates", "nanoparticles", "polycrystal", "glass", "empty"]


def test_list_shows_every_specimen(unmix):
    listed = unmix("simulate", "--list")["specimens"]
    assert [one["name"] for one in listed] == KINDS
    for kind in KINDS:
        names = {one["name"] for one in unmix("simulate", kind, "--list")["parameters"]}
        assert {"ny", "nx", "step_nm", "ky", "kx", "pixel_per_A", "precession_mrad"} <= names
    assert "bend_mrad" in unmix.run("simulate", "nanowire", "--list").stdout


@pytest.mark.parametrize("kind", KINDS)
def test_specimens_have_a_truth_that_scores_itself(unmix, tmp_path, kind):
    scan, truth = tmp_path / "s.npy", tmp_path / "t.npz"
    made = unmix("simulate", kind, "-o", scan, "--truth", truth, "--size", "10x14", "--pattern-size", "48x48",
                 "--counts", 2000, "--dtype", "f32", "--no-noise")
    assert made["specimen"] == kind and made["shape"] == [10, 14, 48, 48]
    data = numpy.load(scan).astype(float)
    assert data.shape == (10, 14, 48, 48) and (data >= 0).all()
    totals = data.sum(axis=(2, 3))
    assert (totals <= 2000 * (1 + 1e-5)).all() and totals.min() > 200
    with numpy.load(truth) as file:
        fractions = file["fractions"]
        assert fractions.shape == (10, 14, made["states"]) and abs(fractions.sum(axis=2) - 1).max() < 1e-6
        assert (fractions.argmax(axis=2) == file["labels"]).mean() > 0.99
    assert unmix("score", truth, truth)["label_accuracy"] > 0.9


def test_a_spec_holds_specimen_and_instrument(unmix, tmp_path):
    spec = tmp_path / "wire.ini"
    spec.write_text("[specimen]\nkind = nanowire\nny = 6\nnx = 9\nky = 40\nkx = 40\nbend_mrad = 10\n"
                    "[instrument]\ncounts = 500\ndtype = u8\nafterglow = 0.2\nread-noise = 1.5\noffset = 4\n"
                    "hot = 0.01\ndead = 0.01\ndescan = 1,0,0,-2\ndescan-jitter = 0.3\nspread = 0.6\nprobe = 6\n"
                    "inelastic = 0.2\nbits = 7\n")
    options = ["--set", "ny=6", "--set", "nx=9", "--pattern-size", "40x40", "--set", "bend_mrad=10", "--counts", 500,
               "--dtype", "u8", "--afterglow", 0.2, "--read-noise", 1.5, "--offset", 4, "--hot", 0.01, "--dead", 0.01,
               "--descan", "1,0,0,-2", "--descan-jitter", 0.3, "--spread", 0.6, "--probe", 6, "--inelastic", 0.2,
               "--bits", 7]
    unmix("simulate", spec, "-o", tmp_path / "a.npy", "--threads", 1)
    for threads in (1, 2, 3):
        unmix("simulate", "nanowire", "-o", tmp_path / "b.npy", *options, "--threads", threads, "--force")
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert numpy.load(tmp_path / "a.npy").max() <= 127


def test_dead_pixels_and_descan_are_those_of_the_truth(unmix, tmp_path):
    scan, truth = tmp_path / "s.npy", tmp_path / "t.npz"
    unmix("simulate", "empty", "-o", scan, "--truth", truth, "--size", "9x11", "--pattern-size", "64x64", "--dead", 0.02,
          "--hot", 0.01, "--hot-counts", 500, "--descan", "4,0,0,-6", "--counts", 1e5, "--dtype", "u32")
    data = numpy.load(scan).astype(float)
    with numpy.load(truth) as file:
        map_of, shift = file["hot_pixels"], file["descan"]
    assert (map_of == -1).any() and (data[:, :, map_of == -1] == 0).all()
    assert data[:, :, map_of > 0].mean() > 400
    data[:, :, map_of != 0] = 0
    ky = numpy.arange(64)[:, None]
    middle = (data * ky).sum(axis=(2, 3)) / data.sum(axis=(2, 3))
    assert numpy.polyfit(shift[:, :, 0].ravel(), middle.ravel(), 1)[0] == pytest.approx(1, abs=0.25)
    assert shift[:, :, 0].max() - shift[:, :, 0].min() == pytest.approx(4, rel=0.2)
    assert shift[:, :, 1].max() - shift[:, :, 1].min() == pytest.approx(6, rel=0.2)


@pytest.mark.parametrize("words, line", [
    (["nanowire", "--set", "bnd=1"], "bnd"), (["nanowire", "--set", "bend_mrad=much"], "much"),
    (["nanowire", "--set", "bend_mrad"], "NAME=VALUE"), (["nanowire", "--layout", "discs"], "--layout is for layouts"),
    (["--set", "nx=5"], "--set is for specimens"), (["nanowire", "--descan", "1,2"], "descan"),
    (["nanowire", "--bits", 12, "--dtype", "u8"], "bits")])
def test_specimens_refuse_in_a_line(unmix, tmp_path, words, line):
    assert line in unmix.fails("simulate", *words, "-o", tmp_path / "s.npy", status=2)
    assert not (tmp_path / "s.npy").exists()
