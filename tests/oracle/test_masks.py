"""The defects that METHODS of other tools have with masks, one test each: the normalisation dropped when a
mask is set, the same when streaming, masks transposed or ravelled in another order, equal "random" starts, an
iteration cap that nobody is told of.

What is excluded must not matter at all: entries there are replaced by garbage and the bits of the result must
stay. What is kept is compared with a dense computation.
"""
import numpy
import pytest

import reference

SHAPE = (5, 13, 6, 11)  # neither scan nor detector square, ny*nx != ky*kx
K = 3


def masks():
    """Shapes that no transposition maps to themselves."""
    signal = numpy.zeros(SHAPE[2:], bool)
    signal[0, 2:9] = signal[4, 5] = signal[2:5, 0] = True
    navigation = numpy.zeros(SHAPE[:2], bool)
    navigation[1, 3:12] = navigation[4, 0] = True
    return signal, navigation


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    signal, navigation = masks()
    x = reference.mixture(SHAPE, K)
    x[..., 2, 5] *= 7  # a bright pixel that stays: weights matter
    garbage = x.copy()
    garbage[:, :, signal] = 60000
    garbage[navigation] = 50000
    numpy.save(folder / "scan.npy", x)
    numpy.save(folder / "garbage.npy", garbage)
    numpy.save(folder / "fortran.npy", numpy.asfortranarray(x)[::1])
    numpy.save(folder / "signal.npy", signal)
    numpy.save(folder / "navigation.npy", navigation)
    rows, columns = numpy.flatnonzero(~navigation.ravel()), numpy.flatnonzero(~signal.ravel())
    return folder, x.reshape(65, 66), rows, columns


def fit(unmix, folder, out, name, weights, *options):
    got = unmix("nmf", folder / name, "-k", K, "-o", out, "--no-report", "--weights", weights, "--signal-mask",
                folder / "signal.npy", "--navigation-mask", folder / "navigation.npy", "--tolerance", "1e-6",
                "--max-passes", "3000", *options)
    return got, *reference.load_result(out)


@pytest.mark.parametrize("weights", ["poisson", "none"])
def test_what_is_excluded_does_not_matter(unmix, files, tmp_path, weights):
    folder = files[0]
    _, loadings, factors = fit(unmix, folder, tmp_path / "a.npz", "scan.npy", weights)
    _, other_loadings, other_factors = fit(unmix, folder, tmp_path / "b.npz", "garbage.npy", weights)
    assert factors.tobytes() == other_factors.tobytes()
    assert loadings.tobytes() == other_loadings.tobytes()


@pytest.mark.parametrize("weights", ["poisson", "none"])
def test_excluded_entries_are_where_the_mask_says(unmix, files, tmp_path, weights):
    folder, _, rows, columns = files
    _, loadings, factors = fit(unmix, folder, tmp_path / "a.npz", "scan.npy", weights)
    assert numpy.isfinite(loadings[rows]).all() and numpy.isfinite(factors[:, columns]).all()
    lost_rows = numpy.setdiff1d(numpy.arange(65), rows)
    lost_columns = numpy.setdiff1d(numpy.arange(66), columns)
    assert numpy.isnan(loadings[lost_rows]).all() and numpy.isnan(factors[:, lost_columns]).all()


@pytest.mark.parametrize("weights", ["poisson", "none"])
def test_objective_against_dense(unmix, files, tmp_path, weights):
    """Mask and Poisson scaling together: as good as a dense solver on the scaled kept entries, and the
    errors that are printed are those of the factors in the file."""
    folder, x, rows, columns = files
    got, loadings, factors = fit(unmix, folder, tmp_path / "a.npz", "scan.npy", weights, "--runs", "4")
    kept = x[numpy.ix_(rows, columns)].astype(float)
    residual = kept - loadings[rows] @ factors[:, columns]
    assert got["frobenius_error"] == pytest.approx(numpy.linalg.norm(residual), rel=1e-5)
    assert got["relative_error"] == pytest.approx(
        numpy.linalg.norm(residual) / numpy.linalg.norm(kept), rel=1e-5)
    if weights == "poisson":
        r, c = reference.weights(x, rows, columns)
        residual = residual * r[rows][:, None] * c[columns][None, :]
    best = reference.best_nmf(reference.scaled(x, rows, columns, weights == "poisson"), K)
    assert numpy.linalg.norm(residual) <= best * 1.001
    assert got["weighted_error"] == pytest.approx(numpy.linalg.norm(residual), rel=1e-5)


def test_normalisation_is_not_dropped_by_a_mask(unmix, files, tmp_path):
    folder, x, rows, columns = files
    poisson = fit(unmix, folder, tmp_path / "a.npz", "scan.npy", "poisson")
    plain = fit(unmix, folder, tmp_path / "b.npz", "scan.npy", "none")
    # Least squares wins in its own measure and loses in the weighted one: so both are what they say.
    assert plain[0]["frobenius_error"] < poisson[0]["frobenius_error"] * 0.9999
    r, c = reference.weights(x, rows, columns)

    def weighted(loadings, factors):
        residual = x[numpy.ix_(rows, columns)] - loadings[rows] @ factors[:, columns]
        return numpy.linalg.norm(residual * r[rows][:, None] * c[columns][None, :])

    assert weighted(*poisson[1:]) < weighted(*plain[1:]) * 0.9999


@pytest.mark.parametrize("weights", ["poisson", "none"])
def test_streaming_changes_nothing(unmix, files, tmp_path, weights):
    folder = files[0]
    results = [fit(unmix, folder, tmp_path / f"{memory}.npz", "scan.npy", weights, "--memory", memory,
                   "--threads", threads)[1:] for memory, threads in (("8M", 1), ("1G", 2))]
    assert results[0][0].tobytes() == results[1][0].tobytes()
    assert results[0][1].tobytes() == results[1][1].tobytes()


def test_masks_of_wrong_shape_are_refused(unmix, files, tmp_path):
    folder = files[0]
    for option, name, right in (("--signal-mask", "signal.npy", "6x11"), ("--navigation-mask", "navigation.npy", "5x13")):
        numpy.save(tmp_path / name, numpy.load(folder / name).T)
        line = unmix.fails("nmf", folder / "scan.npy", "-k", K, "-o", tmp_path / "r.npz", option, tmp_path / name)
        assert right.split("x")[0] in line and right.split("x")[1] in line
    assert not (tmp_path / "r.npz").exists()


def test_c_order_of_numpy(unmix, files, tmp_path):
    """Rows of loadings are y*nx + x, rows of factors ky*KX + kx: one lit position, one lit pixel."""
    x = numpy.zeros(SHAPE, "u2")
    x[1, 7, 4, 3] = 1000
    numpy.save(tmp_path / "point.npy", x)
    unmix("nmf", tmp_path / "point.npy", "-k", 1, "-o", tmp_path / "r.npz", "--weights", "none")
    loadings, factors = reference.load_result(tmp_path / "r.npz")
    assert numpy.flatnonzero(loadings[:, 0] > 1e-3).tolist() == [1 * 13 + 7]
    assert numpy.flatnonzero(factors[0] > 1e-3).tolist() == [4 * 11 + 3]


def test_random_starts_differ(unmix, files, tmp_path):
    folder = files[0]
    ways = [fit(unmix, folder, tmp_path / f"{seed}.npz", "scan.npy", "poisson", "--start", "random", "--seed",
                seed, "--max-passes", "2")[2] for seed in (1, 2)]
    assert not numpy.allclose(ways[0], ways[1], rtol=0.05, equal_nan=True)


def test_a_stop_at_the_cap_is_told(unmix, files, tmp_path):
    folder = files[0]
    got, _, _ = fit(unmix, folder, tmp_path / "a.npz", "scan.npy", "poisson", "--max-passes", "2", "--tolerance", "1e-12")
    assert got["converged"] is False
    said = unmix.run("nmf", folder / "scan.npy", "-k", K, "-o", tmp_path / "b.npz",
                     "--tolerance", "1e-12", "--max-passes", "2")
    assert said.returncode == 0 and "stopped" in (said.stdout + said.stderr).lower()
