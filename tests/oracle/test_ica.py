"""unmix ica against scikit-learn's FastICA, a varimax in NumPy, and sources that are known."""
import os
import pathlib
import subprocess
import sys

import numpy
import pytest
from scipy import stats
from sklearn import decomposition

import reference

SHAPE = (36, 41, 20, 17)  # nothing square
K = 4


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ica")
    numpy.save(folder / "scan.npy", reference.mixture(SHAPE, K, counts=3000))
    random = numpy.random.default_rng(8)
    numpy.save(folder / "signal.npy", random.random(SHAPE[2:]) < 0.1)
    numpy.save(folder / "navigation.npy", random.random(SHAPE[:2]) < 0.1)
    return folder


def rotated(unmix, scan, tmp_path, *options):
    got = unmix("ica", scan / "scan.npy", "-k", K, "-o", tmp_path / "r.npz", "--no-report", *options)
    with numpy.load(tmp_path / "r.npz") as file:
        return got, {name: file[name] for name in file.files}


def cosines(a, b):
    """Of each column of a with its own column of b, whatever their order and signs."""
    a, b = a / numpy.linalg.norm(a, axis=0), b / numpy.linalg.norm(b, axis=0)
    every = numpy.abs(a.T @ b)
    match = every.argmax(axis=1)
    assert sorted(match) == list(range(len(match)))
    return every.max(axis=1)


def varimax(basis):
    """Kaiser's criterion of an orthonormal basis, by the singular vectors of its gradient."""
    turn, before = numpy.eye(basis.shape[1]), 0
    for _ in range(2000):
        turned = basis @ turn
        left, values, right = numpy.linalg.svd(
            basis.T @ (turned**3 - turned * (turned**2).mean(axis=0)))
        turn = left @ right
        if values.sum() < before * (1 + 1e-14):
            break
        before = values.sum()
    return basis @ turn


def criterion(turned):
    return (turned**2).var(axis=0).sum()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("on", ["loadings", "patterns"])
def test_fastica_against_scikit_learn(unmix, scan, tmp_path, on, masked):
    masks = ["--signal-mask", scan / "signal.npy", "--navigation-mask", scan / "navigation.npy"] if masked else []
    got, r = rotated(unmix, scan, tmp_path, "--on", on, *masks)
    assert got["converged"] and r["on_loadings"] == (on == "loadings")
    side = "loadings" if on == "loadings" else "factors"
    kept = numpy.isfinite(r[side]).all(axis=1)
    assert kept.sum() == got["samples"] and (not kept.all()) == masked
    peer = decomposition.FastICA(K, algorithm="parallel", fun="logcosh", whiten="unit-variance", tol=1e-8,
                                 max_iter=1000, random_state=0)
    expected = peer.fit_transform(r[side][kept].astype(float))
    found = r["bss_" + side][kept].astype(float)
    assert (cosines(found - found.mean(axis=0), expected) > 0.9999).all()
    numpy.testing.assert_allclose(numpy.cov(found.T, bias=True), numpy.eye(K), atol=1e-4)
    numpy.testing.assert_allclose(got["kurtosis"], stats.kurtosis(found), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("on", ["loadings", "patterns"])
def test_varimax_against_numpy(unmix, scan, tmp_path, on):
    got, r = rotated(unmix, scan, tmp_path, "--method", "varimax", "--on", on)
    assert got["converged"] and r["bss_algorithm"] == "varimax"
    side = "loadings" if on == "loadings" else "factors"
    basis, _ = numpy.linalg.qr(r[side].astype(float))
    expected = varimax(basis * numpy.sqrt(len(basis)))
    found = r["bss_" + side].astype(float)
    numpy.testing.assert_allclose(found.T @ found / len(found), numpy.eye(K), atol=1e-4)
    assert criterion(found) == pytest.approx(criterion(expected), rel=1e-5)
    assert (cosines(found, expected) > 0.9999).all()


@pytest.mark.parametrize("method", ["fastica", "varimax"])
@pytest.mark.parametrize("on", ["loadings", "patterns"])
def test_what_is_stored(unmix, scan, tmp_path, method, on):
    """The components make the same model; order and signs are as documented; masks are NaN."""
    got, r = rotated(unmix, scan, tmp_path, "--method", method, "--on", on, "--signal-mask", scan / "signal.npy")
    excluded = numpy.load(scan / "signal.npy").ravel()
    assert numpy.isnan(r["bss_factors"][excluded]).all() and numpy.isfinite(r["bss_factors"][~excluded]).all()
    loadings, factors = r["loadings"].astype(float), r["factors"][~excluded].astype(float)
    maps, patterns = r["bss_loadings"].astype(float), r["bss_factors"][~excluded].astype(float)
    whole = loadings @ factors.T
    assert numpy.linalg.norm(maps @ patterns.T - whole) < 1e-5 * numpy.linalg.norm(whole)
    turned = loadings @ r["unmixing_matrix"].T if on == "loadings" else factors @ r["unmixing_matrix"].T
    numpy.testing.assert_allclose(maps if on == "loadings" else patterns, turned, rtol=1e-4,
                                  atol=1e-5 * numpy.abs(turned).max())
    assert (patterns[numpy.abs(patterns).argmax(axis=0), range(K)] > 0).all()
    strength = numpy.linalg.norm(maps, axis=0) * numpy.linalg.norm(patterns, axis=0)
    numpy.testing.assert_allclose(got["strength"], strength, rtol=1e-4)
    assert (numpy.diff(strength) <= 0).all()


def test_known_sources(unmix, tmp_path):
    """Independent maps of three kinds, mixed: FastICA finds them again, singular vectors do not."""
    random = numpy.random.default_rng(1)
    maps = numpy.stack([random.exponential(1, 4000), random.uniform(0, 4, 4000), random.random(4000) < 0.1], 1)
    x = (maps @ random.gamma(0.5, 1, (3, 60))).reshape(50, 80, 6, 10)
    numpy.save(tmp_path / "scan.npy", x.astype("f4"))
    unmix("ica", tmp_path / "scan.npy", "-k", 3, "--on", "loadings", "--weights", "none", "-o", tmp_path / "r.npz", "--no-report")
    with numpy.load(tmp_path / "r.npz") as file:
        found, before = file["bss_loadings"].astype(float), file["loadings"].astype(float)

    def correlation(a):
        return numpy.abs(numpy.corrcoef(maps.T, a.T)[:3, 3:])
    assert (correlation(found).max(axis=1) > 0.995).all()
    assert (correlation(before).max(axis=1) < 0.98).any()


def test_same_bits(unmix, scan, tmp_path):
    first, one = rotated(unmix, scan, tmp_path, "--threads", 1, "--seed", 3)
    second, two = rotated(unmix, scan, tmp_path, "--threads", 3, "--seed", 3, "--force")
    assert first["iterations"] == second["iterations"]
    for name in ("unmixing_matrix", "bss_factors", "bss_loadings"):
        assert one[name].tobytes() == two[name].tobytes()


def test_noise_is_told(unmix, tmp_path):
    """Gaussian sources have no independent directions: the bound on iterations holds, and it is said."""
    x = numpy.random.default_rng(4).normal(0, 1, (30, 40, 5, 4)) + 2
    numpy.save(tmp_path / "scan.npy", x.astype("f4"))
    got = unmix("ica", tmp_path / "scan.npy", "-k", 5, "--on", "loadings", "--weights", "none", "--max-iterations", 7,
                "-o", tmp_path / "r.npz", "--no-report")
    assert got["iterations"] == 7 and got["converged"] is False and got["change"] > 1e-8


@pytest.mark.parametrize("python", [pytest.param("/usr/bin/python3", marks=pytest.mark.long), sys.executable],
                         ids=["1.7", "newest"])
def test_hyperspy_plots_components(unmix, scan, tmp_path, python):
    """Debian's HyperSpy 1.7 and the newest."""
    if subprocess.run([python, "-c", "import hyperspy"], capture_output=True).returncode != 0:
        pytest.skip(f"{python} has no HyperSpy")
    unmix("ica", scan / "scan.npy", "-k", 3, "--on", "loadings", "-o", tmp_path / "i.hspy", "-o", tmp_path / "i.npz")
    done = subprocess.run([python, pathlib.Path(__file__).parent / "hyperspy_bss.py", tmp_path / "i.hspy",
                           tmp_path / "i.npz"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr
