"""Run by the HyperSpy under test: independent components that unmix stored, as its own tools show them.

    python hyperspy_bss.py ICA.hspy ICA.npz
"""
import sys

import matplotlib

matplotlib.use("Agg")
import hyperspy.api as hs  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402


def check(s, plots=False):
    r = s.learning_results
    ny, nx = s.data.shape[:2]
    assert r.bss_algorithm == "fastica" and bool(r.on_loadings) is True
    w = np.asarray(r.unmixing_matrix)
    assert w.shape == (3, 3)
    loadings = np.asarray(r.loadings, float) @ w.T  # as s._unmix_components() would make them
    factors = np.asarray(r.factors, float) @ np.linalg.inv(w)
    np.testing.assert_allclose(r.bss_loadings, loadings, rtol=1e-4, atol=1e-5 * np.abs(loadings).max())
    np.testing.assert_allclose(r.bss_factors, factors, rtol=1e-4, atol=1e-5 * np.abs(factors).max())
    maps, patterns = s.get_bss_loadings(), s.get_bss_factors()
    assert maps.data.shape == (3, ny, nx) and patterns.data.shape == (3,) + s.data.shape[2:]
    np.testing.assert_array_equal(maps.data.reshape(3, -1).T, r.bss_loadings)
    np.testing.assert_array_equal(patterns.data.reshape(3, -1).T, r.bss_factors)
    if plots:
        s.plot_bss_factors()
        s.plot_bss_loadings()
        s.plot_bss_results()
        s.plot_decomposition_results()
        plt.close("all")


s = hs.load(sys.argv[1])
check(s, plots=True)
s.save(sys.argv[1].replace(".hspy", "_again.hspy"), overwrite=True)
check(hs.load(sys.argv[1].replace(".hspy", "_again.hspy")))
s = s.deepcopy()
s.learning_results.load(sys.argv[2])
check(s)
