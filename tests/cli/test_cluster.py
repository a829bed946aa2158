"""unmix cluster: what it writes, and what it refuses with one line."""
import numpy as np
import pytest


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Three regions of 6, 5 and 4 columns with spots at different places."""
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("scan")
    patterns = np.full((3, 12, 12), 2.0)
    for state, (y, x) in enumerate([(3, 3), (8, 2), (6, 9)]):
        patterns[state, y, x] = 300
    labels = np.repeat([0, 1, 2], [6, 5, 4])[None, :].repeat(10, axis=0)
    np.save(folder / "scan.npy", rng.poisson(patterns[labels]).astype("u2"))
    return folder / "scan.npy"


def test_report_and_pictures(unmix, scan, tmp_path):
    got = unmix("cluster", scan, "-n", 3, "--method", "fuzzy", "-o", tmp_path / "c.hspy", "--pictures", tmp_path / "p")
    assert got["labels_counts"] == [60, 50, 40] and got["noise"] == 0
    assert {name.rsplit("/", 1)[-1] for name in got["files"]} == {
        "c.hspy", "c.html", "labels.png", "labels.tif", "membership.tif"}
    page = (tmp_path / "c.html").read_text()
    assert "Cluster 2" in page and "Cluster 3" not in page and "40 positions" in page
    # What was stored can be clustered again, and keeps its patterns when the scan is named.
    again = unmix("cluster", tmp_path / "c.hspy", "-n", 3, "-o", tmp_path / "d.npz", "--no-report", "--patterns", scan)
    assert again["labels_counts"] == [60, 50, 40]


@pytest.mark.parametrize("options, status, words", [
    (["-n", 0], 2, "-n takes a number of clusters or auto, not '0'"),
    (["-n", 151], 2, "151 clusters: 1 to 150 are possible here"),
    (["--range", "5..3"], 2, "--range takes A..B"),
    (["--patterns", "other.npy"], 2, "leave it out"),
    (["--scaling", "sum"], 1, "use --scaling norm"),
    (["--method", "hdbscan", "--least-size", 150], 1, "noise only"),
    (["--method", "rotation", "--beam", "1,1", "--parts", 5], 1, "no rings"),
    (["-n", 2, "--centers", "start.npy"], 1, "start.npy"),
    (["--range", "151..160"], 2, "only 150 positions"),
    (["-n", 3, "--gap", 5], 2, "--gap goes with -n auto"),
    (["-n", 3, "--method", "hdbscan"], 2, "--clusters is not for --method hdbscan"),
    (["-n", 3, "--method", "ward", "--fuzziness", 3], 2, "--fuzziness is not for --method ward"),
    (["-n", 9, "--method", "ward", "--exact", 20, "--parts", 5], 2, "9 clusters from 5 parts"),
])
def test_what_cannot_be_done(unmix, scan, tmp_path, options, status, words):
    line = unmix.fails("cluster", scan, "-o", tmp_path / "c.npz", "--no-report", *options, status=status)
    assert words in line
    assert not list(tmp_path.iterdir())


def test_patterns_of_many_clusters_stay_within_the_memory(unmix, tmp_path):
    np.save(tmp_path / "scan.npy", np.random.default_rng(3).poisson(2, (20, 20, 64, 64)).astype("u1"))
    words = ["cluster", tmp_path / "scan.npy", "-k", 3, "--starts", 1, "-o", tmp_path / "c.npz", "--no-report"]
    line = unmix.fails(*words, "-n", 390, "--memory", "30M")
    assert "patterns and maps of 390 clusters need --memory" in line and not (tmp_path / "c.npz").exists()
    assert unmix(*words, "-n", 3, "--memory", "30M")["n"] == 3
