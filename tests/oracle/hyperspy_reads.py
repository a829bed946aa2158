"""Run by the HyperSpy under test: opens what unmix wrote and checks every number, then saves it again.

    python hyperspy_reads.py FOLDER NY NX KY KX K
"""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import hyperspy.api as hs  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

folder = pathlib.Path(sys.argv[1])
ny, nx, ky, kx, k = map(int, sys.argv[2:7])
SCAN = (np.arange(ny * nx)[:, None] * 131 + np.arange(ky * kx) * 7).astype("u2").reshape(ny, nx, ky, kx)
FACTORS = (1000.0 * np.arange(k) + np.arange(ky * kx)[:, None])
LOADINGS = (1000.0 * np.arange(k) + np.arange(ny * nx)[:, None])
FACTORS[kx + 2] = np.nan
LOADINGS[1] = np.nan


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a), b)


def check_signal(s):
    assert s.data.shape == (ny, nx, ky, kx)
    assert s.axes_manager.navigation_shape == (nx, ny) and s.axes_manager.signal_shape == (kx, ky)
    axes = s.axes_manager._axes
    assert [a.name for a in axes] == ["y", "x", "ky", "kx"]
    assert [a.units for a in axes] == ["nm", "nm", "1/nm", "1/nm"]
    assert [a.scale for a in axes] == [2.5, 2.5, 0.1, 0.1]
    assert [a.offset for a in axes] == [10, 20, -0.3, -0.4]
    assert s.metadata.Signal.signal_type == "electron_diffraction"


def check_results(s):
    r = s.learning_results
    same(r.factors, FACTORS)
    same(r.loadings, LOADINGS)
    assert int(r.output_dimension) == k and r.decomposition_algorithm == "NMF"
    assert bool(r.poissonian_noise_normalized) is True
    mask = np.zeros((ky, kx), bool)
    mask[1, 2] = True
    same(r.signal_mask, mask)
    mask = np.zeros((ny, nx), bool)
    mask[0, 1] = True
    same(r.navigation_mask, mask)


def check_plots(s):
    """As people see them: pattern c has its hole at (1, 2), map c at (0, 1), nothing is transposed."""
    s.plot_decomposition_results()
    s.plot_decomposition_factors()
    s.plot_decomposition_loadings()
    factors = s.get_decomposition_factors()
    loadings = s.get_decomposition_loadings()
    same(factors.data.reshape(k, ky, kx), FACTORS.T.reshape(k, ky, kx))
    same(loadings.data.reshape(k, ny, nx), LOADINGS.T.reshape(k, ny, nx))
    plt.close("all")


for name in ("linked", "empty", "lazy"):
    s = hs.load(str(folder / f"{name}.hspy"))
    check_signal(s)
    same(s.data, SCAN if name == "linked" else np.zeros_like(SCAN))
    check_results(s)
    check_plots(s)
    kept = s.original_metadata.as_dictionary()["unmix"]
    assert json.loads(kept) == {"weights": "poisson", "seed": 7}
    again = folder / f"{name}_again.hspy"
    s.save(str(again), overwrite=True)
    t = hs.load(str(again))
    check_results(t)
    same(t.learning_results.singular_values, [30, 2, 0.5])
    assert float(t.learning_results.total_variance) == 30
    check_plots(t)

lazy = hs.load(str(folder / "lazy.hspy"), lazy=True)
check_results(lazy)
check_plots(lazy)
lazy = hs.load(str(folder / "linked.hspy"), lazy=True)
lazy.learning_results.crop_decomposition_dimension(k, compute=True)
check_results(lazy)
check_plots(lazy)
same(lazy.inav[1, 2].data, SCAN[2, 1])

s = hs.load(str(folder / "scan.hspy"))
check_signal(s)
same(s.data, SCAN)
assert json.loads(s.original_metadata.as_dictionary()["unmix"]) == {"dose": 3}
s.learning_results.load(str(folder / "result.npz"))
check_results(s)
check_plots(s)
print("read by HyperSpy", hs.__version__ if hasattr(hs, "__version__") else "")
