"""Variants of the factorisation against scikit-learn, SciPy and dense NumPy."""
import warnings

import numpy
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
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
