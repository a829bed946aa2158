"""unmix cluster against scikit-learn and SciPy, and its own equations written down in NumPy."""
import os
import pathlib
import subprocess
import sys

import numpy
import pytest
from scipy.cluster import hierarchy
from sklearn import cluster, metrics, mixture

import reference

SHAPE = (24, 30, 6, 7)  # nothing square


def points(spread=0.06):
    """Fractions of four components around their corners and their middle, times a thickness."""
    random = numpy.random.default_rng(3)
    middle = numpy.vstack([0.76 * numpy.eye(4) + 0.06, numpy.full((1, 4), 0.25)])
    share = random.choice(5, SHAPE[0] * SHAPE[1], p=[0.3, 0.25, 0.2, 0.15, 0.1])
    x = numpy.abs(middle[share] + spread * random.normal(size=(share.size, 4)))
    x[::50] = random.dirichlet([1] * 4, len(x[::50]))  # some that are in no group
    return x * random.uniform(0.5, 2, (share.size, 1))


@pytest.fixture(scope="module")
def result(unmix, tmp_path_factory):
    """A result whose loadings are ours: those of unmix nmf, replaced."""
    folder = tmp_path_factory.mktemp("cluster")
    numpy.save(folder / "scan.npy", reference.mixture(SHAPE, 4))
    unmix("nmf", folder / "scan.npy", "-k", 4, "-o", folder / "nmf.npz", "--no-report", "--weights", "none")
    with numpy.load(folder / "nmf.npz") as file:
        arrays = dict(file)
    arrays["loadings"] = (points() / numpy.nansum(arrays["factors"], axis=0)).astype("f4")
    arrays["loadings"][17] = numpy.nan  # as an excluded position is kept
    numpy.savez(folder / "result.npz", **arrays)
    return folder / "result.npz"


def features(path, scaling="sum"):
    """As documented, with the positions that count."""
    loadings, factors = reference.load_result(path)
    x = loadings.astype("f8") * numpy.nansum(factors.astype("f8"), axis=1)
    kept = numpy.flatnonzero(numpy.isfinite(x).all(axis=1))
    x = x[kept]
    if scaling == "sum":
        x = x / x.sum(axis=1, keepdims=True)
    elif scaling == "norm":
        x = x / numpy.linalg.norm(x, axis=1, keepdims=True)
    elif scaling == "standard":
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x, kept


def labels(path, kept):
    with numpy.load(path) as file:
        label = file["cluster_map"].ravel()
        boolean = file["cluster_labels"]
        assert boolean.dtype == bool and boolean.shape == (int(file["number_of_clusters"]), label.size)
    assert numpy.isnan(numpy.delete(label, kept)).all()
    label = label[kept].astype(int)
    assert (boolean[:, kept].T == (label[:, None] == numpy.arange(boolean.shape[0]))).all()
    sizes = numpy.bincount(label[label >= 0])
    assert (numpy.diff(sizes) <= 0).all()  # the largest first
    return label


@pytest.mark.parametrize("scaling, n", [("sum", 8), ("norm", 3), ("standard", 5), ("none", 6)])
def test_kmeans_from_shared_starts(unmix, result, tmp_path, scaling, n):
    x, kept = features(result, scaling)
    start = x[numpy.random.default_rng(n).choice(len(x), n, replace=False)]
    numpy.save(tmp_path / "start.npy", start)
    got = unmix("cluster", result, "-n", n, "--scaling", scaling, "--centers", tmp_path / "start.npy", "-o",
                tmp_path / "c.npz", "--no-report", "--tolerance", 0)
    theirs = cluster.KMeans(n, init=start, n_init=1, tol=0, algorithm="lloyd").fit(x)
    label = labels(tmp_path / "c.npz", kept)
    assert metrics.adjusted_rand_score(theirs.labels_, label) > 0.999
    assert got["objective"] == pytest.approx(theirs.inertia_, rel=1e-4)
    assert got["labels_counts"] == sorted(numpy.bincount(theirs.labels_), reverse=True)
    assert got["silhouette"] == pytest.approx(metrics.silhouette_score(x, label), rel=1e-4)
    samples = metrics.silhouette_samples(x, label)
    numpy.testing.assert_allclose(got["silhouette_of"], [samples[label == c].mean() for c in range(n)], rtol=1e-3,
                                  atol=1e-5)


def test_own_starts_are_as_good(unmix, result, tmp_path):
    x, _ = features(result)
    got = unmix("cluster", result, "-n", 7, "-o", tmp_path / "c.npz", "--no-report")
    assert got["objective"] < 1.01 * cluster.KMeans(7, n_init=10, random_state=1).fit(x).inertia_


def test_minibatch_finds_the_same(unmix, result, tmp_path):
    x, kept = features(result)
    start = cluster.KMeans(5, n_init=10, random_state=1).fit(x)
    numpy.save(tmp_path / "start.npy", start.cluster_centers_)
    unmix("cluster", result, "-n", 5, "--method", "minibatch", "--batch", 200, "-o", tmp_path / "c.npz", "--no-report",
          "--centers", tmp_path / "start.npy")
    theirs = cluster.MiniBatchKMeans(5, init=start.cluster_centers_, n_init=1, batch_size=200, random_state=0).fit(x)
    label = labels(tmp_path / "c.npz", kept)
    assert metrics.adjusted_rand_score(theirs.labels_, label) > 0.99


def test_number_by_silhouette(unmix, result, tmp_path):
    x, kept = features(result)
    got = unmix("cluster", result, "-n", "auto", "--range", "2..7", "-o", tmp_path / "c.npz", "--no-report")
    assert [row["n"] for row in got["table"]] == list(range(2, 8))
    best = max(got["table"], key=lambda row: row["silhouette"])
    assert got["n"] == best["n"] == 5
    assert best["silhouette"] == pytest.approx(metrics.silhouette_score(x, labels(tmp_path / "c.npz", kept)), rel=1e-4)


def test_patterns_are_means_of_raw_patterns(unmix, tmp_path):
    x = reference.mixture(SHAPE, 4)
    numpy.save(tmp_path / "scan.npy", x)
    mask = numpy.zeros(SHAPE[2:], bool)
    mask[2, 3] = True
    numpy.save(tmp_path / "mask.npy", mask)
    got = unmix("cluster", tmp_path / "scan.npy", "-n", 4, "-k", 3, "-o", tmp_path / "c.npz", "--no-report",
                "--signal-mask", tmp_path / "mask.npy")
    label = labels(tmp_path / "c.npz", numpy.arange(SHAPE[0] * SHAPE[1]))
    rows = x.reshape(label.size, -1).astype("f8")
    rows[:, mask.ravel()] = 0
    means = numpy.stack([rows[label == c].mean(axis=0) for c in range(got["n"])])
    with numpy.load(tmp_path / "c.npz") as file:
        numpy.testing.assert_allclose(file["cluster_centroid_signals"], means, rtol=1e-5, atol=1e-5)
        counts = numpy.array(got["labels_counts"])[:, None]
        numpy.testing.assert_allclose(file["cluster_sum_signals"], means * counts, rtol=1e-5, atol=1e-3)


def test_same_bits_for_any_number_of_threads(unmix, tmp_path):
    numpy.save(tmp_path / "scan.npy", reference.mixture((80, 90, 6, 7), 4))
    files = []
    for threads, memory in ((1, "1G"), (3, "200M")):
        path = tmp_path / f"{threads}.npz"
        unmix("cluster", tmp_path / "scan.npy", "-n", 5, "-o", path, "--no-report", "--threads", threads, "--memory",
              memory)
        with numpy.load(path) as file:
            files.append({name: file[name].tobytes() for name in file if name not in ("unmix_model", "provenance")})
    assert files[0] == files[1]


def fitted(unmix, result, tmp_path, method, *options, n=5):
    """Runs a method from a shared start: points, start, what it said, label, membership (positions x n), centres."""
    x, kept = features(result)
    start = x[numpy.random.default_rng(8).choice(len(x), n, replace=False)]
    numpy.save(tmp_path / "start.npy", start)
    got = unmix("cluster", result, "-n", n, "--method", method, "--centers", tmp_path / "start.npy", "-o",
                tmp_path / "c.npz", "--no-report", "--force", *options)
    label = labels(tmp_path / "c.npz", kept)
    with numpy.load(tmp_path / "c.npz") as file:
        return x, start, got, label, file["cluster_membership"][:, kept].T, file["cluster_centroids"]


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_mixture_from_a_shared_start(unmix, result, tmp_path, kind):
    """scikit-learn's expectation and maximisation from the same first step: hard labels of the nearest centre."""
    x, start, got, label, membership, _ = fitted(unmix, result, tmp_path, "gmm", "--covariance", kind,
                                                 "--tolerance", 1e-9, "--ridge", 1e-3)
    ridge = 1e-3 * x.var(axis=0).mean()
    hard = numpy.eye(5)[((x[:, None] - start) ** 2).sum(axis=2).argmin(axis=1)]
    weights, means = hard.mean(axis=0), hard.T @ x / hard.sum(axis=0)[:, None]
    covariances = numpy.stack([numpy.cov(x[hard[:, c] > 0].T, bias=True) for c in range(5)]) + ridge * numpy.eye(4)
    precisions = (numpy.linalg.inv(covariances) if kind == "full"
                  else 1 / numpy.diagonal(covariances, axis1=1, axis2=2))
    theirs = mixture.GaussianMixture(5, covariance_type=kind[:4], tol=1e-9, max_iter=1000, reg_covar=ridge,
                                     weights_init=weights, means_init=means, precisions_init=precisions).fit(x)
    assert metrics.adjusted_rand_score(theirs.predict(x), label) > 0.999
    assert got["objective"] == pytest.approx(-theirs.score(x), rel=1e-5)
    assert got["bic"] == pytest.approx(theirs.bic(x), rel=1e-5)
    assert got["aic"] == pytest.approx(theirs.aic(x), rel=1e-5)
    proba = theirs.predict_proba(x)
    assert numpy.abs(numpy.sort(membership, axis=1) - numpy.sort(proba, axis=1)).mean() < 1e-3


@pytest.mark.parametrize("m", [2, 1.5])
def test_fuzzy_is_a_fixed_point(unmix, result, tmp_path, m):
    x, _, got, label, u, centers = fitted(unmix, result, tmp_path, "fuzzy", "--fuzziness", m)
    distance = numpy.linalg.norm(x[:, None] - centers, axis=2)
    expected = 1 / ((distance[:, :, None] / distance[:, None, :]) ** (2 / (m - 1))).sum(axis=2)
    numpy.testing.assert_allclose(u, expected, atol=1e-6)
    numpy.testing.assert_allclose(centers, (u**m).T @ x / (u**m).sum(axis=0)[:, None], atol=2e-6)
    assert got["objective"] == pytest.approx((u**m * distance**2).sum(), rel=1e-5)
    assert (label == u.argmax(axis=1)).all()


def test_possibilistic_is_a_fixed_point(unmix, result, tmp_path):
    x, _, _, _, t, centers = fitted(unmix, result, tmp_path, "possibilistic", "--fuzziness", 1.5)
    power = 1 / (1.5 - 1)
    d2 = ((x[:, None] - centers) ** 2).sum(axis=2)
    far = (t > 1e-3) & (t < 0.999)
    width = numpy.where(far, d2 / (1 / numpy.where(far, t, 0.5) - 1) ** (1 / power), numpy.nan)
    eta = numpy.nanmedian(width, axis=0)  # one number for all points of a cluster
    numpy.testing.assert_allclose(t, 1 / (1 + (d2 / eta) ** power), atol=1e-5)
    numpy.testing.assert_allclose(centers, (t**1.5).T @ x / (t**1.5).sum(axis=0)[:, None], atol=2e-6)
    # The widths are those of fuzzy c-means from the same start.
    _, _, _, _, u, middle = fitted(unmix, result, tmp_path, "fuzzy", "--fuzziness", 1.5)
    widths = (u**1.5 * ((x[:, None] - middle) ** 2).sum(axis=2)).sum(axis=0) / (u**1.5).sum(axis=0)
    numpy.testing.assert_allclose(numpy.sort(eta), numpy.sort(widths), rtol=1e-3)


def test_gustafson_kessel_is_a_fixed_point(unmix, result, tmp_path):
    x, _, got, _, u, centers = fitted(unmix, result, tmp_path, "gustafson-kessel", "--ridge", 1e-3)
    w = u.astype("f8") ** 2
    numpy.testing.assert_allclose(centers, w.T @ x / w.sum(axis=0)[:, None], atol=2e-6)
    difference = x[:, None] - centers
    covariance = numpy.einsum("pc,pci,pcj->cij", w, difference, difference) / w.sum(axis=0)[:, None, None]
    covariance += 1e-3 * x.var(axis=0).mean() * numpy.eye(4)
    norm = numpy.linalg.det(covariance)[:, None, None] ** (1 / 4) * numpy.linalg.inv(covariance)
    d2 = numpy.einsum("pci,cij,pcj->pc", difference, norm, difference)
    numpy.testing.assert_allclose(u, 1 / (d2[:, :, None] / d2[:, None, :]).sum(axis=2), atol=2e-5)
    assert got["objective"] == pytest.approx((w * d2).sum(), rel=1e-4)


def test_number_of_a_mixture_by_bic(unmix, result, tmp_path):
    got = unmix("cluster", result, "-n", "auto", "--range", "3..7", "--method", "gmm", "--ridge", 1e-3, "--starts", 3,
                "-o", tmp_path / "c.npz", "--no-report")
    assert got["n"] == min(got["table"], key=lambda row: row["bic"])["n"] == 5


@pytest.mark.parametrize("n", [2, 5, 9])
def test_ward_is_that_of_scipy(unmix, result, tmp_path, n):
    x, kept = features(result)
    got = unmix("cluster", result, "-n", n, "--method", "ward", "-o", tmp_path / "c.npz", "--no-report")
    label = labels(tmp_path / "c.npz", kept)
    theirs = hierarchy.fcluster(hierarchy.linkage(x, "ward"), n, "maxclust")
    assert metrics.adjusted_rand_score(theirs, label) > 0.999
    means = numpy.stack([x[label == c].mean(axis=0) for c in range(n)])
    assert got["objective"] == pytest.approx(((x - means[label]) ** 2).sum(), rel=1e-4)


def test_ward_of_parts_finds_the_same(unmix, result, tmp_path):
    """More points than may be taken one by one: the five groups are found all the same."""
    x, kept = features(result)
    unmix("cluster", result, "-n", 5, "--method", "ward", "--exact", 300, "--parts", 60, "-o", tmp_path / "c.npz",
          "--no-report")
    theirs = hierarchy.fcluster(hierarchy.linkage(x, "ward"), 5, "maxclust")
    assert metrics.adjusted_rand_score(theirs, labels(tmp_path / "c.npz", kept)) > 0.99


@pytest.mark.parametrize("size, neighbours", [(20, 10), (8, 5), (40, 25)])
def test_hdbscan_is_that_of_scikit_learn(unmix, result, tmp_path, size, neighbours):
    x, kept = features(result)
    got = unmix("cluster", result, "--method", "hdbscan", "--least-size", size, "--neighbours", neighbours, "-o",
                tmp_path / "c.npz", "--no-report")
    label = labels(tmp_path / "c.npz", kept)
    theirs = cluster.HDBSCAN(min_cluster_size=size, min_samples=neighbours, copy=True).fit(x)
    assert got["n"] == theirs.labels_.max() + 1 >= 2
    assert got["noise"] == (label < 0).sum() == pytest.approx((theirs.labels_ < 0).sum(), abs=3)
    assert metrics.adjusted_rand_score(theirs.labels_, label) > 0.99


def test_rotation_joins_turned_patterns(unmix, tmp_path):
    """Fifteen grains of three spot patterns, each turned by an angle of its own, about a beam off the middle."""
    random = numpy.random.default_rng(4)
    y, x = numpy.mgrid[:48, :48].astype(float)
    grains = []
    for grain in range(15):
        spots = numpy.random.default_rng(grain % 3)
        turn = random.uniform(0, 2 * numpy.pi)
        pattern = 6 * numpy.exp(-((y - 22) ** 2 + (x - 25) ** 2) / 8)
        for _ in range(9):
            radius, angle, strength = spots.uniform(6, 17), spots.uniform(0, 2 * numpy.pi) + turn, spots.uniform(0.3, 1)
            pattern += strength * numpy.exp(-((y - 22 - radius * numpy.sin(angle)) ** 2
                                              + (x - 25 - radius * numpy.cos(angle)) ** 2) / 4.5)
        grains.append(pattern / pattern.sum())
    grain = numpy.repeat(numpy.arange(15), 40).reshape(30, 20)
    scan = random.poisson(numpy.array(grains)[grain] * 3000).astype("u2")
    scan[:, :, 5, :7] = 9000  # masked below: must not show
    mask = numpy.zeros((48, 48), bool)
    mask[5, :7] = True
    numpy.save(tmp_path / "scan.npy", scan)
    numpy.save(tmp_path / "mask.npy", mask)
    for number in (3, "auto"):
        unmix("cluster", tmp_path / "scan.npy", "-n", number, "--method", "rotation", "--parts", 15, "-o",
              tmp_path / "c.npz", "--no-report", "--force", "--signal-mask", tmp_path / "mask.npy")
        label = labels(tmp_path / "c.npz", numpy.arange(600))
        assert metrics.adjusted_rand_score(grain.ravel() % 3, label) == 1
    with numpy.load(tmp_path / "c.npz") as file:  # the pattern of one grain, not a powder of five
        for c, pattern in enumerate(file["cluster_centroid_signals"]):
            phase = grain.ravel()[label == c][0] % 3
            best = max(numpy.corrcoef(pattern[~mask.ravel()], grains[g].ravel()[~mask.ravel()])[0, 1]
                       for g in range(phase, 15, 3))
            assert best > 0.99


def test_gap_statistic(unmix, result, tmp_path):
    """References of our own: the two agree within their errors, and five groups are told."""
    x, _ = features(result)
    got = unmix("cluster", result, "-n", "auto", "--range", "4..6", "--gap", 4, "--starts", 2, "-o", tmp_path / "c.npz",
                "--no-report")["table"]
    random = numpy.random.default_rng(1)

    def dispersion(points):
        return numpy.array([numpy.log(cluster.KMeans(n, n_init=2, random_state=0).fit(points).inertia_)
                            for n in range(4, 7)])
    references = numpy.stack([dispersion(random.uniform(x.min(axis=0), x.max(axis=0), x.shape)) for _ in range(2)])
    expected = references.mean(axis=0) - dispersion(x)
    gap = numpy.array([row["gap"] for row in got])
    error = numpy.array([row["gap_error"] for row in got])
    numpy.testing.assert_allclose(gap, expected, atol=0.05)
    assert (error > 0).all() and (error < 0.05).all()
    enough = [n for n in (4, 5) if gap[n - 4] >= gap[n - 3] - error[n - 3]]
    assert enough[0] == 5


@pytest.mark.parametrize("python", [pytest.param("/usr/bin/python3", marks=pytest.mark.long), sys.executable],
                         ids=["1.7", "newest"])
def test_hyperspy_plots_clusters(unmix, tmp_path, python):
    """Debian's HyperSpy 1.7 and the newest."""
    if subprocess.run([python, "-c", "import hyperspy"], capture_output=True).returncode != 0:
        pytest.skip(f"{python} has no HyperSpy")
    numpy.save(tmp_path / "scan.npy", reference.mixture((6, 7, 5, 8), 3))
    unmix("cluster", tmp_path / "scan.npy", "-n", 4, "-k", 3, "-o", tmp_path / "c.hspy", "-o", tmp_path / "c.npz")
    done = subprocess.run([python, pathlib.Path(__file__).parent / "hyperspy_clusters.py", tmp_path / "c.hspy",
                           tmp_path / "c.npz"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stderr
