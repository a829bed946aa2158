"""Variants of the factorisation against scikit-learn, SciPy and dense NumPy."""
import re
import warnings

import numpy
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import nnls
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF, non_negative_factorization
from sklearn.decomposition._nmf import _initialize_nmf


def divergence(x, y):
    return (numpy.where(x > 0, x * numpy.log(numpy.where(x > 0, x, 1) / numpy.maximum(y, 1e-300)), 0) - x + y).sum()


def product(path):
    with numpy.load(path) as file:
        return file["loadings"].astype(float) @ file["factors"].astype(float).T


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.npy"
    numpy.save(path, load_digits().data.astype(numpy.uint8))
    return path


# What scikit-learn 1.2.1 reaches: solver='mu', init='nndsvda', sqrt(2 D).
@pytest.mark.parametrize("k, theirs", [(8, 435.956), (16, 343.379)])
def test_likelihood_of_digits(unmix, digits, tmp_path, k, theirs):
    x = numpy.load(digits).astype(float)
    fit = unmix("nmf", digits, "-k", k, "--loss", "kl", "--tolerance", 1e-4, "-o", tmp_path / "r.npz", "--no-report")
    assert fit["divergence"] == pytest.approx(divergence(x, product(tmp_path / "r.npz")), rel=1e-5)
    assert numpy.sqrt(2 * fit["divergence"]) <= 1.001 * theirs


def test_likelihood_from_the_same_start(unmix, digits, tmp_path):
    """Where scikit-learn arrives slowly from the same factors, with zeros in them."""
    x = numpy.load(digits).astype(float)[:600]
    numpy.save(tmp_path / "x.npy", x.astype(numpy.uint8))
    w, h = _initialize_nmf(x, 5, init="nndsvd", random_state=0)
    numpy.savez(tmp_path / "start.npz", factors=h.T, loadings=w)
    fit = unmix("nmf", tmp_path / "x.npy", "-k", 5, "--loss", "kl", "--start", tmp_path / "start.npz", "--tolerance", 1e-4,
                "-o", tmp_path / "r.npz", "--no-report")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = NMF(5, init="nndsvda", solver="mu", beta_loss="kullback-leibler", max_iter=150, tol=0).fit(x)
    assert fit["divergence"] <= 1.001 * model.reconstruction_err_**2 / 2


# ---- variants of squared errors --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """14 x 18 positions, 12 x 13 pixels, three states that share a background and two reflections, blurred maps."""
    rng = numpy.random.default_rng(3)
    h = 0.2 + (rng.random((3, 156)) < 0.15) * rng.gamma(3, 2, (3, 156))
    h[:, [20, 90]] = 4
    maps = numpy.kron(rng.integers(0, 3, (7, 9)), numpy.ones((2, 2), int))
    w = numpy.stack([gaussian_filter((maps == c).astype(float), 0.8) for c in range(3)], -1).reshape(-1, 3)
    x = rng.poisson(20 * w @ h).astype("u2")
    folder = tmp_path_factory.mktemp("scan")
    numpy.save(folder / "scan.npy", x.reshape(14, 18, 12, 13))
    numpy.save(folder / "one.npy", h[0].reshape(12, 13))
    return folder, x.astype(float), h


def variant(unmix, scan, tmp_path, *options):
    """The fit with rows of H of unit norm, and the objective of each step that was kept."""
    words = ["nmf", scan[0] / "scan.npy", "-k", 3, "--weights", "none", "--tolerance", 1e-7, "-o", tmp_path / "r.npz",
             "--no-report", "--force", *options]
    fit = unmix(*words)
    log = unmix.run(*words, "-v").stderr
    steps = [float(m[1]) for m in re.finditer(r"step \d+: objective (\S+)\n", log)]
    with numpy.load(tmp_path / "r.npz") as file:
        w, h = file["loadings"].astype(float), file["factors"].astype(float).T
    norm = numpy.linalg.norm(h, axis=1)
    x = scan[1]
    plain = numpy.linalg.norm(x - w @ h) ** 2
    assert fit["frobenius_error"] ** 2 == pytest.approx(plain, rel=1e-5)
    assert len(steps) > 4 and (numpy.diff(steps) <= 1e-8 * steps[0]).all(), steps
    return fit, w * norm, h / norm[:, None], steps


def test_sparse_loadings_solve_scikit_learns_problem(unmix, scan, tmp_path):
    _, w, h, steps = variant(unmix, scan, tmp_path, "--sparse-loadings", 5)
    x = scan[1]
    ours = 0.5 * numpy.linalg.norm(x - w @ h) ** 2 + 5 * w.sum()
    assert ours == pytest.approx(steps[-1], rel=1e-6)
    found, _, _ = non_negative_factorization(x, H=h.copy(), n_components=3, init="custom", update_H=False,
                                             alpha_W=5 / x.shape[1], l1_ratio=1, tol=1e-8, max_iter=2000)
    theirs = 0.5 * numpy.linalg.norm(x - found @ h) ** 2 + 5 * found.sum()
    assert ours == pytest.approx(theirs, rel=1e-6)
    plain = numpy.linalg.norm(x - product_of(unmix, scan, tmp_path)) ** 2
    assert 0 < numpy.linalg.norm(x - w @ h) ** 2 / plain - 1 < 0.05


def product_of(unmix, scan, tmp_path):
    unmix("nmf", scan[0] / "scan.npy", "-k", 3, "--weights", "none", "--tolerance", 1e-7, "-o", tmp_path / "p.npz",
          "--no-report", "--force")
    return product(tmp_path / "p.npz")


def test_sparse_patterns_solve_scikit_learns_problem(unmix, scan, tmp_path):
    _, w, h, steps = variant(unmix, scan, tmp_path, "--sparse-patterns", 5)
    x = scan[1]
    size = numpy.linalg.norm(w, axis=0)
    w, h = w / size, h * size[:, None]
    ours = 0.5 * numpy.linalg.norm(x - w @ h) ** 2 + 5 * h.sum()
    assert ours == pytest.approx(steps[-1], rel=1e-6)
    found, _, _ = non_negative_factorization(x.T, H=w.T.copy(), n_components=3, init="custom", update_H=False,
                                             alpha_W=5 / x.shape[0], l1_ratio=1, tol=1e-8, max_iter=2000)
    theirs = 0.5 * numpy.linalg.norm(x.T - found @ w.T) ** 2 + 5 * found.sum()
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_orthogonal_maps_overlap_less_and_each_is_the_best_for_the_others(unmix, scan, tmp_path):
    _, w, h, steps = variant(unmix, scan, tmp_path, "--orthogonal", 0.2)
    x = scan[1]
    overlap = w.T @ w
    total = 0.5 * numpy.linalg.norm(x - w @ h) ** 2 + 0.2 * numpy.triu(overlap, 1).sum()
    assert total == pytest.approx(steps[-1], rel=1e-6)
    gradient = w @ (h @ h.T + 0.2 * (1 - numpy.eye(3))) - x @ h.T
    scale = numpy.abs(x @ h.T).max()
    assert numpy.abs(gradient[w > 1e-3]).max() < 1e-3 * scale and gradient[w <= 1e-3].min() > -1e-3 * scale
    product_of(unmix, scan, tmp_path)
    with numpy.load(tmp_path / "p.npz") as file:
        plain = file["loadings"].astype(float)
    cosine = overlap / numpy.sqrt(numpy.outer(numpy.diag(overlap), numpy.diag(overlap)))
    before = plain.T @ plain
    before /= numpy.sqrt(numpy.outer(numpy.diag(before), numpy.diag(before)))
    assert numpy.triu(cosine, 1).sum() < 0.9 * numpy.triu(before, 1).sum()


def test_smooth_loadings(unmix, scan, tmp_path):
    _, w, h, steps = variant(unmix, scan, tmp_path, "--smooth", 0.05)
    x = scan[1]
    maps = w.reshape(14, 18, 3)
    rough = (numpy.diff(maps, axis=0) ** 2).sum() + (numpy.diff(maps, axis=1) ** 2).sum()
    total = 0.5 * numpy.linalg.norm(x - w @ h) ** 2 + 0.5 * 0.05 * rough
    assert total == pytest.approx(steps[-1], rel=1e-6)


def test_maps_behind_a_probe(unmix, scan, tmp_path):
    """Each map is a non-negative map seen through the Gaussian: non-negative least squares finds that map."""
    _, w, _, _ = variant(unmix, scan, tmp_path, "--probe", 0.8)
    reach = numpy.arange(-3, 4)
    weight = numpy.exp(-0.5 * (reach / 0.8) ** 2)
    weight /= weight.sum()

    def along(length):
        return sum(numpy.diag(numpy.full(length - abs(d), v), d) for d, v in zip(reach, weight))

    probe = numpy.kron(along(14), along(18))
    for c in range(3):
        _, left = nnls(probe, w[:, c])
        assert left < 2e-3 * numpy.linalg.norm(w[:, c])


def test_fixed_patterns_are_held(unmix, scan, tmp_path):
    folder, x, truth = scan
    _, w, h, _ = variant(unmix, scan, tmp_path, "--fixed", folder / "one.npy")
    known = truth[0] / numpy.linalg.norm(truth[0])
    c = int(numpy.argmax(h @ known))
    assert numpy.abs(h[c] - known).max() < 1e-6
    for row in range(0, len(x), 17):
        best, _ = nnls(h.T, x[row])
        assert numpy.abs(w[row] - best).max() < 2e-3 * best.max()


def test_relevance_determination_finds_the_number(unmix, scan, tmp_path):
    words = ["nmf", scan[0] / "scan.npy", "-k", 6, "--max-passes", 60, "-o", tmp_path / "r.npz", "--no-report", "--ard"]
    fit = unmix(*words)
    assert fit["k"] == 3 and fit["removed"] == 3
    with numpy.load(tmp_path / "r.npz") as file:
        assert file["factors"].shape == (156, 3) and file["loadings"].shape == (252, 3)


def test_patterns_that_may_share_reflections(unmix, scan, tmp_path):
    """The determinant of the cosines rises no more: they come closer, and the objective is the one that is told."""
    _, w, h, steps = variant(unmix, scan, tmp_path, "--dips", 0.02)
    product_of(unmix, scan, tmp_path)
    with numpy.load(tmp_path / "p.npz") as file:
        plain_w, plain = file["loadings"].astype(float), file["factors"].astype(float).T
    norm = numpy.linalg.norm(plain, axis=1)
    plain_w, plain = plain_w * norm, plain / norm[:, None]
    volume = 0.02 * (plain_w**2).sum() / 3

    def objective(w, h):
        return 0.5 * numpy.linalg.norm(scan[1] - w @ h) ** 2 + 0.5 * volume * numpy.linalg.slogdet(h @ h.T)[1]

    assert objective(w, h) == pytest.approx(steps[-1], rel=1e-5)
    assert objective(w, h) < objective(plain_w, plain)
    assert numpy.linalg.det(h @ h.T) < 0.95 * numpy.linalg.det(plain @ plain.T)


def test_outliers_are_kept_apart(unmix, scan, tmp_path):
    """Cosmic rays in a few patterns: the fit is that of the scan without them, and their share is told."""
    folder, x, _ = scan
    rng = numpy.random.default_rng(8)
    struck = x.copy()
    rows, pixels = rng.choice(252, 60, replace=False), rng.choice(156, 60)
    struck[rows, pixels] += 400
    numpy.save(tmp_path / "struck.npy", struck.astype("u2").reshape(14, 18, 12, 13))
    clean = product_of(unmix, scan, tmp_path)
    off = {}
    for name, options in (("plain", []), ("robust", ["--robust", 40])):
        unmix("nmf", tmp_path / "struck.npy", "-k", 3, "--weights", "none", "--tolerance", 1e-7, *options, "-o",
              tmp_path / f"{name}.npz", "--no-report")
        off[name] = numpy.linalg.norm(product(tmp_path / f"{name}.npz") - clean) / numpy.linalg.norm(clean)
    assert off["robust"] < 0.2 * off["plain"], off
    with numpy.load(tmp_path / "robust.npz") as file:
        w, h, share = file["loadings"].astype(float), file["factors"].astype(float), file["outlier_share"].ravel()
    excess = numpy.maximum(0, struck - w @ h.T - 40).sum(1) / struck.sum(1)
    assert share == pytest.approx(excess, abs=1e-5)
    assert share[rows].min() > 0.06 and numpy.delete(share, rows).max() < 0.03
