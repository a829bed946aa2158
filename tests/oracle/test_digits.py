"""NMF of scikit-learn's digits (1797 x 64): no worse than scikit-learn, whose results are published."""
import numpy
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
from sklearn.decomposition._nmf import _initialize_nmf

# Best of these seeds; scikit-learn 1.2.1 itself reaches 933.394 (nndsvd) and 674.061 (best of five).
SEEDS = (0, 1, 2, 3, 4)
BOUND = {8: 933.5, 16: 675.0}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.npy"
    numpy.save(path, load_digits().data.astype(numpy.uint8))
    return path


def components(path):
    with numpy.load(path) as file:
        return file["loadings"].astype(float), file["factors"].astype(float)


def factorise(unmix, digits, k, name, *options):
    result = digits.parent / f"{name}.npz"
    fit = unmix("nmf", digits, "-k", k, "--weights", "none", "-o", result, "--force", *options)
    loadings, factors = components(result)
    x = numpy.load(digits).astype(float)
    assert (loadings >= 0).all() and (factors >= 0).all()
    # The error that is printed is the error of the factors that are stored.
    error = numpy.linalg.norm(x - loadings @ factors.T)
    assert abs(fit["frobenius_error"] - error) < 1e-4 * error
    return fit


@pytest.mark.parametrize("k", BOUND)
def test_best_of_a_few_seeds(unmix, digits, k):
    errors = {}
    for start in ("default", "random"):
        for seed in SEEDS if start == "random" else (0,):
            options = ["--seed", seed, "--tolerance", 1e-4, "--max-passes", 3000]
            if start == "random":
                options += ["--start", "random"]
            fit = factorise(unmix, digits, k, f"best{k}", *options)
            errors[start, seed] = fit["frobenius_error"]
    print(k, {f"{start} {seed}": round(e, 3) for (start, seed), e in errors.items()})
    assert min(errors.values()) <= BOUND[k], errors


@pytest.mark.parametrize("k", BOUND)
@pytest.mark.parametrize("start, seed", [("nndsvd", 0), ("nndsvda", 0), ("nndsvdar", 0), ("random", 0),
                                         ("random", 3), ("random", 5)])
def test_never_worse_than_scikit_learn_from_the_same_start(unmix, digits, k, start, seed):
    x = numpy.load(digits).astype(float)
    w, h = _initialize_nmf(x, k, init=start, random_state=seed)
    model = NMF(k, init="custom", solver="cd", tol=1e-4, max_iter=2000)
    # Copies: scikit-learn works in place.
    found = model.fit_transform(x, W=w.copy(), H=h.copy())
    theirs = numpy.linalg.norm(x - found @ model.components_)
    path = digits.parent / f"start_{start}_{seed}_{k}.npz"
    numpy.savez(path, factors=h.T, loadings=w)
    ours = factorise(unmix, digits, k, f"same_{start}_{seed}_{k}", "--start", path, "--tolerance", 1e-4,
                     "--max-passes", 3000)["frobenius_error"]
    print(k, start, seed, "scikit-learn", round(theirs, 3), "unmix", round(ours, 3))
    assert ours <= 1.001 * theirs
