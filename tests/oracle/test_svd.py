"""unmix svd against a dense decomposition by LAPACK: values, total variance, vectors, signs, elbow."""
import numpy
import pytest

import reference

SHAPE = (7, 11, 9, 6)  # nothing square
K = 5


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("svd")
    x = reference.mixture(SHAPE, 4)
    numpy.save(folder / "scan.npy", x)
    random = numpy.random.default_rng(8)
    signal, navigation = random.random(SHAPE[2:]) < 0.2, random.random(SHAPE[:2]) < 0.15
    numpy.save(folder / "signal.npy", signal)
    numpy.save(folder / "navigation.npy", navigation)
    return folder, x.reshape(SHAPE[0] * SHAPE[1], -1), signal.ravel(), navigation.ravel()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_dense(unmix, scan, tmp_path, masked, weighted):
    folder, x, signal, navigation = scan
    options, rows, columns = [], numpy.arange(x.shape[0]), numpy.arange(x.shape[1])
    if masked:
        options = ["--signal-mask", folder / "signal.npy", "--navigation-mask", folder / "navigation.npy"]
        rows, columns = numpy.flatnonzero(~navigation), numpy.flatnonzero(~signal)
    got = unmix("svd", folder / "scan.npy", "-k", K, "-o", tmp_path / "r.npz", "--weights",
                "poisson" if weighted else "none", *options)
    dense = reference.scaled(x, rows, columns, weighted)
    u, s, vt = numpy.linalg.svd(dense, full_matrices=False)
    numpy.testing.assert_allclose(got["singular_values"], s[:K], rtol=1e-3)
    numpy.testing.assert_allclose(got["singular_values"][:3], s[:3], rtol=2e-5)
    assert got["total_variance"] == pytest.approx((s**2).sum(), rel=1e-6)
    assert got["weighted"] is weighted

    loadings, factors = reference.load_result(tmp_path / "r.npz")
    for vector in factors:
        kept = vector[columns]
        assert kept[numpy.argmax(numpy.abs(kept))] > 0
    excluded = numpy.setdiff1d(numpy.arange(x.shape[1]), columns)
    assert not numpy.nan_to_num(factors[:, excluded]).any()
    # Undone exactly: loadings times factors is the best approximation, back in the data's units.
    roots = reference.weights(x, rows, columns) if weighted else None
    best = (u[:, :3] * s[:3]) @ vt[:3]
    if weighted:
        best = best / roots[0][rows][:, None] / numpy.where(roots[1] > 0, roots[1], 1)[columns]
    product = loadings[rows][:, :3] @ factors[:3][:, columns]
    assert numpy.linalg.norm(product - best) < 2e-3 * numpy.linalg.norm(best)


def test_elbow_is_a_number_of_components(unmix, tmp_path):
    """Three strong components over flat noise: the chord rule gives index 3, so 4 points, three before it."""
    x = reference.mixture((16, 16, 8, 8), 3, counts=20000)
    numpy.save(tmp_path / "scan.npy", x)
    got = unmix("svd", tmp_path / "scan.npy", "-k", 30, "-o", tmp_path / "r.npz", "--weights", "none")
    values = numpy.linalg.svd(x.reshape(256, 64).astype(float), compute_uv=False)
    assert got["elbow"] == reference.elbow(values)
    assert got["elbow"] == 4


def test_fractions_need_not_sum_to_one(unmix, scan, tmp_path):
    """The total variance is that of the data, not of the values that were kept."""
    folder, x, _, _ = scan
    got = unmix("svd", folder / "scan.npy", "-k", 2, "-o", tmp_path / "r.npz", "--weights", "none")
    assert got["total_variance"] == pytest.approx((x.astype(float) ** 2).sum(), rel=1e-6)
    assert sum(value**2 for value in got["singular_values"]) < 0.9999 * got["total_variance"]


def test_more_components_than_the_matrix_has(unmix, tmp_path):
    numpy.save(tmp_path / "scan.npy", reference.mixture((2, 3, 4, 4), 2))
    line = unmix.fails("svd", tmp_path / "scan.npy", "-k", 7, "-o", tmp_path / "r.npz", status=2)
    assert "6" in line and "7" in line
    assert not (tmp_path / "r.npz").exists()
