"""unmix score against NumPy and SciPy's assignment, on random results."""
import numpy
import pytest
from scipy.optimize import linear_sum_assignment



@pytest.mark.parametrize("seed, states, components", [(0, 4, 4), (1, 6, 9), (2, 7, 3), (3, 12, 12)])
def test_matches_and_labels(unmix, tmp_path, seed, states, components):
    random = numpy.random.default_rng(seed)
    truth, result = tmp_path / "truth.npz", tmp_path / "result.npz"
    ends = tmp_path / "ends.npy"
    numpy.save(ends, random.random((states, 6, 8)) ** 3)
    unmix("simulate", "-o", tmp_path / "scan.npy", "--truth", truth, "--patterns", ends, "--size", "9x11",
          "--regions", 3 * states, "--seed", seed)
    numpy.save(ends, random.random((components, 6, 8)) ** 3)
    # Another simulation stands for a result: its components are unrelated to the truth.
    unmix("simulate", "-o", tmp_path / "other.npy", "--truth", result, "--patterns", ends, "--size",
          "9x11", "--regions", 3 * components, "--seed", seed + 100)
    score = unmix("score", result, truth)
    with numpy.load(truth) as file:
        tf, labels = file["factors"].astype(float).T, file["labels"].astype(int).ravel()
    with numpy.load(result) as file:
        rf, rl = file["factors"].astype(float).T, file["loadings"].astype(float)
    unit = [f / numpy.linalg.norm(f, axis=1, keepdims=True) for f in (tf, rf)]
    cosine = unit[0] @ unit[1].T
    rows, columns = linear_sum_assignment(-cosine)
    ours = numpy.array(score["component_of"])
    assert (ours >= 0).sum() == min(states, components)
    kept = numpy.flatnonzero(ours >= 0)
    assert len(set(ours[kept])) == len(kept)
    assert numpy.allclose(numpy.array(score["cosine"])[kept], cosine[kept, ours[kept]], atol=1e-6)
    assert abs(cosine[kept, ours[kept]].sum() - cosine[rows, columns].sum()) < 1e-9
    # Labels, counted once more.
    state_of = {int(c): t for t, c in enumerate(ours) if c >= 0}
    called = numpy.array([state_of.get(int(c), -1) for c in (rl * rf.sum(axis=1)).argmax(axis=1)])
    assert abs(score["label_accuracy"] - (called == labels).mean()) < 1e-9
    assert abs(score["baseline"] - numpy.bincount(labels).max() / 99) < 1e-9
    for t, one in enumerate(score["per_class"]):
        hit = ((called == t) & (labels == t)).sum()
        assert one["positions"] == (labels == t).sum()
        assert abs(one["recall"] - hit / max(1, (labels == t).sum())) < 1e-9
        assert abs(one["precision"] - hit / max(1, (called == t).sum())) < 1e-9
        total = (labels == t).sum() + (called == t).sum()
        assert abs(one["f1"] - 2 * hit / max(1, total)) < 1e-9


def test_shapes_that_do_not_fit(unmix, tmp_path):
    for name, size in (("a", "6x5"), ("b", "5x6")):
        unmix("simulate", "-o", tmp_path / f"{name}.npy", "--truth", tmp_path / f"{name}.hspy", "--size",
              size, "--pattern-size", "16x16", "--regions", 10)
    line = unmix.fails("score", tmp_path / "a.hspy", tmp_path / "b.hspy")
    assert "6x5" in line and "5x6" in line
    (tmp_path / "not.npz").write_bytes(b"PK\x03\x04 nothing")
    unmix.fails("score", tmp_path / "not.npz", tmp_path / "b.hspy")
