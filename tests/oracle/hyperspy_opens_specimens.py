"""Run by the HyperSpy under test: opens scans of specimens and their truths, against the same as NumPy files.

    python hyperspy_opens_specimens.py FOLDER KIND ...
"""
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import hyperspy.api as hs  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

folder = pathlib.Path(sys.argv[1])
for kind in sys.argv[2:]:
    scan = hs.load(str(folder / f"{kind}.hspy"))
    np.testing.assert_array_equal(scan.data, np.load(folder / f"{kind}.npy"))
    axes = scan.axes_manager._axes
    assert [a.name for a in axes] == ["y", "x", "ky", "kx"] and scan.axes_manager.signal_shape == (24, 20)
    assert axes[0].units == "nm" and axes[0].scale == axes[1].scale > 0
    assert axes[2].units in ("1/nm", "1/A", "1/\u00c5") and axes[2].scale == (1 if axes[2].units == "1/nm" else 0.1)

    truth = hs.load(str(folder / f"{kind}_truth.hspy"))
    with np.load(folder / f"{kind}_truth.npz") as same:
        np.testing.assert_allclose(truth.learning_results.factors, same["factors"], rtol=1e-6)
        np.testing.assert_allclose(truth.learning_results.loadings, same["loadings"], rtol=1e-6)
        maps, patterns = truth.get_decomposition_loadings(), truth.get_decomposition_factors()
        np.testing.assert_allclose(patterns.data.reshape(-1, 20 * 24), same["factors"].T, rtol=1e-6)
        np.testing.assert_allclose(maps.data.reshape(-1, 3 * 4), same["loadings"].T, rtol=1e-6)
    if kind == sys.argv[2]:
        truth.plot_decomposition_results()
    kept = str(truth.original_metadata.as_dictionary())
    assert kind in kept and "pixel_per_A" in kept
    plt.close("all")
