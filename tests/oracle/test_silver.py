"""A semi-real scan: the five measured patterns of a silver lamella (SPED), laid out as grains with mixed
borders and counting noise. The answer is known, the patterns are those of an instrument."""
import re

import h5py
import numpy
import pytest

# The stored patterns are sums over this many positions.
REGION_POSITIONS = numpy.array([1088, 143, 150, 5014, 5106])
COUNTS = 3e4
SIZE = (64, 128)
BEAM_PX = 10


@pytest.fixture(scope="module")
def end_members(shared):
    path = shared / "sped-ag" / "SPED_Ag_labels_sum_signal.hspy"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    with h5py.File(path) as file:
        sums = file["Experiments/__unnamed__/data"][()].astype(float)
    assert sums.sum(axis=(1, 2)).astype(int).tolist() == [
        10111356683, 1405621529, 1604248949, 45237439955, 41158070054]
    return sums / REGION_POSITIONS[:, None, None]


def simulate(unmix, folder, patterns, seed):
    numpy.save(folder / "ends.npy", patterns)
    scan, truth = folder / f"scan{seed}.npy", folder / f"truth{seed}.hspy"
    done = unmix("simulate", "-o", scan, "--truth", truth, "--patterns", folder / "ends.npy",
                 "--size", f"{SIZE[0]}x{SIZE[1]}", "--border", 0.7, "--counts", COUNTS,
                 "--seed", seed, "--step", 5, "--pixel", 0.0267283)
    assert done["shape"] == [*SIZE, 112, 112]
    return scan, truth


@pytest.fixture(scope="module")
def silver(unmix, tmp_path_factory, end_members):
    folder = tmp_path_factory.mktemp("silver")
    return folder, *simulate(unmix, folder, end_members, 1)


def factorise(unmix, folder, scan, truth, name, *options):
    result = folder / f"{name}.hspy"
    fit = unmix("nmf", scan, "-k", 5, "-o", result, *options, timeout=900)
    score = unmix("score", result, truth)
    print(name, {key: fit[key] for key in ("converged", "passes", "seconds")}, score["cosine"],
          score["label_accuracy"])
    return fit, score


def test_scan_is_what_was_asked_for(unmix, silver, end_members):
    _, scan, truth = silver
    data = numpy.load(scan, mmap_mode="r")
    assert data.shape == (*SIZE, 112, 112) and data.dtype == numpy.uint16
    per_pattern = data.sum(axis=(2, 3), dtype=float)
    # The mean of 8192 Poisson totals of mean 3e4.
    assert abs(per_pattern.mean() - COUNTS) < 5 * numpy.sqrt(COUNTS / per_pattern.size)
    with h5py.File(truth) as file:
        experiment = next(iter(file["Experiments"].values()))
        factors = experiment["learning_results/factors"][()].astype(float)
        loadings = experiment["learning_results/loadings"][()].astype(float)
    assert numpy.allclose(factors.sum(axis=0), 1, atol=1e-5)
    expected = end_members.reshape(5, -1)
    cosine = (factors.T * expected).sum(axis=1) / (
        numpy.linalg.norm(factors, axis=0) * numpy.linalg.norm(expected, axis=1))
    assert (cosine > 1 - 1e-9).all()
    assert abs(loadings.sum() / per_pattern.size - COUNTS) < 1e-3 * COUNTS
    # Borders are mixed: some positions share states, most do not.
    largest = (loadings / loadings.sum(axis=1, keepdims=True)).max(axis=1)
    assert 0.03 < (largest < 0.95).mean() < 0.6
    # Counting statistics: chi-squared of the pattern totals, and of the sum pattern.
    total = loadings.sum(axis=1)
    chi = ((per_pattern.ravel() - total) ** 2 / total).sum()
    assert abs(chi - total.size) < 5 * numpy.sqrt(2 * total.size)
    mean = loadings.sum(axis=0, dtype=float) @ factors.T.astype(float)
    summed = data.reshape(-1, 112 * 112).sum(axis=0, dtype=float)
    chi = ((summed - mean) ** 2 / mean).sum()
    assert abs(chi - mean.size) < 5 * numpy.sqrt(2 * mean.size)


def test_masked_beam_finds_everything(unmix, silver):
    folder, scan, truth = silver
    fit, score = factorise(unmix, folder, scan, truth, "masked", "--mask-beam", BEAM_PX)
    assert fit["converged"]
    assert min(score["cosine"]) >= 0.99, score["cosine"]
    assert score["label_accuracy"] >= 0.99
    assert all(one["f1"] > 0.97 for one in score["per_class"])


def test_another_layout_and_noise_as_well(unmix, silver, end_members):
    folder, _, _ = silver
    scan, truth = simulate(unmix, folder, end_members, 2)
    _, score = factorise(unmix, folder, scan, truth, "second", "--mask-beam", BEAM_PX)
    scan.unlink()
    assert min(score["cosine"]) >= 0.99, score["cosine"]
    assert score["label_accuracy"] >= 0.99


def test_report_says_plainly_what_an_unmasked_beam_does(unmix, silver):
    folder, scan, truth = silver
    pages = {}
    for name, options in (("with_beam", []), ("without_beam", ["--mask-beam", BEAM_PX])):
        result = folder / f"{name}.npz"
        unmix("nmf", scan, "-k", 5, "-o", result, *options, timeout=900)
        page = folder / f"{name}_scored.html"
        unmix("report", result, "-o", page, "--truth", truth)
        pages[name] = page.read_text()
        with numpy.load(result) as file:
            patterns = numpy.nan_to_num(file["factors"].astype(float).T)
        patterns /= numpy.linalg.norm(patterns, axis=1, keepdims=True)
        pages[name, "alike"] = (patterns @ patterns.T)[numpy.triu_indices(5, 1)].mean()
    warning = "The direct beam is not masked"
    assert warning in pages["with_beam"] and warning not in pages["without_beam"]
    assert "--mask-beam&nbsp;" in pages["with_beam"]
    # What it says is so: the beam makes the components alike.
    said = re.search(r"mean cosine between their patterns is ([0-9.]+) with the beam and ([0-9.]+) outside",
                     pages["with_beam"])
    assert abs(float(said[1]) - pages["with_beam", "alike"]) < 0.02
    assert float(said[1]) > float(said[2]) + 0.1
    assert pages["with_beam", "alike"] > pages["without_beam", "alike"] + 0.1
