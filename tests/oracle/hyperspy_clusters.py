"""Run by the HyperSpy under test: clusters that unmix stored, as its own cluster tools show them.

    python hyperspy_clusters.py CLUSTERS.hspy CLUSTERS.npz
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
    n = r.number_of_clusters
    assert n == 4 and isinstance(n, (int, np.integer)), n
    assert np.asarray(r.cluster_labels).dtype == bool
    np.testing.assert_array_equal(np.sum(r.cluster_labels, axis=0), 1)
    labels = s.get_cluster_labels()
    assert labels.data.shape == (n, ny, nx)
    np.testing.assert_array_equal(labels.data.reshape(n, -1), r.cluster_labels)
    np.testing.assert_array_equal(s.get_cluster_labels(merged=True).data.ravel(), np.ravel(r.cluster_map))
    signals = s.get_cluster_signals(signal="mean")
    assert signals.data.shape == (n,) + s.data.shape[2:]
    np.testing.assert_allclose(signals.data.reshape(n, -1), r.cluster_centroid_signals, rtol=1e-6)
    assert s.get_cluster_distances().data.shape == (n, ny, nx)
    if plots:
        s.plot_cluster_labels()
        s.plot_cluster_signals(signal="mean")
        s.plot_cluster_distances()
        s.plot_decomposition_results()
        plt.close("all")


s = hs.load(sys.argv[1])
check(s, plots=True)
s.save(sys.argv[1].replace(".hspy", "_again.hspy"), overwrite=True)
check(hs.load(sys.argv[1].replace(".hspy", "_again.hspy")))
s = s.deepcopy()
s.learning_results.load(sys.argv[2])
check(s)
