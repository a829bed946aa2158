"""unmix nmf --online: a file that grows while it is followed, against the full fit, the truth and SciPy."""
import json
import subprocess
import time

import numpy
import pytest
from scipy.optimize import nnls
from test_second_pass import NX, NY, STATES, load, make_scan


def follow(unmix, path, out, *options):
    return [unmix.path, "nmf", path, "--online", "-o", out, "--no-report", "--json", *map(str, options)]


@pytest.fixture(scope="module")
def scan():
    """Rare states come late: rows of the scan are turned so that the first quarter has none."""
    counts, patterns, labels = make_scan(21, rare=1, share=0.02, counts=800)
    order = numpy.argsort((labels == STATES).any(axis=1), kind="stable")
    return counts[order], patterns, labels[order]


def test_a_growing_file_gives_what_the_whole_one_gives(unmix, scan, tmp_path):
    counts, patterns, labels = scan
    whole, live = tmp_path / "whole.npy", tmp_path / "live.npy"
    numpy.save(whole, counts)
    data = whole.read_bytes()
    live.write_bytes(data[: len(data) // 5])
    running = subprocess.Popen(follow(unmix, live, tmp_path / "live.npz", "-k", STATES + 1, "--batch", 300, "--threads", 2),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for part in range(1, 5):
        time.sleep(0.3)  # the result must not depend on it
        with live.open("ab") as file:
            file.write(data[part * len(data) // 5: (part + 1) * len(data) // 5])
    out, error = running.communicate(timeout=300)
    assert running.returncode == 0, error
    told = json.loads(out)
    once = unmix("nmf", whole, "--online", "-k", STATES + 1, "--batch", 300, "-o", tmp_path / "once.npz", "--no-report",
                 "--patience", 0, "--threads", 1)
    grown, fixed = load(tmp_path / "live.npz"), load(tmp_path / "once.npz")
    assert all(grown[name].tobytes() == fixed[name].tobytes() for name in ("factors", "loadings"))
    for one in (told, once):
        assert one["k"] == STATES + 1 and one["online"]["complete"] and one["online"]["positions"] == NY * NX
        assert one["online"]["batches"] == 5 and one["online"]["results"] >= 3 and one["start"] == "online"

    full = unmix("nmf", whole, "-k", STATES + 1, "-o", tmp_path / "full.npz", "--no-report")
    assert (told["weighted_error"] / full["weighted_error"]) ** 2 - 1 < 0.5 * full["floor"]
    h, w = grown["factors"].astype(float), grown["loadings"].astype(float)
    cosine = (patterns @ h) / numpy.linalg.norm(h, axis=0) / numpy.linalg.norm(patterns, axis=1)[:, None]
    assert sorted(cosine.argmax(axis=0)) == list(range(STATES + 1)) and cosine.max(axis=0).min() > 0.98

    x = counts.reshape(NY * NX, -1).astype(float)
    use = x.sum(axis=0) > 0
    v = 1 / numpy.sqrt(x[:, use].sum(axis=0))
    for p in range(0, NY * NX, 131):
        best, _ = nnls(h[use] * v[:, None], x[p, use] * v)
        assert w[p] == pytest.approx(best, abs=2e-3 * best.max())


def test_a_file_that_stops_growing(unmix, scan, tmp_path):
    counts, _, _ = scan
    numpy.save(tmp_path / "scan.npy", counts)
    data = (tmp_path / "scan.npy").read_bytes()
    (tmp_path / "scan.npy").write_bytes(data[: len(data) // 2])
    done = subprocess.run(follow(unmix, tmp_path / "scan.npy", tmp_path / "r.npz", "-k", 3, "--patience", 0.5, "--batch", 200),
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "is not complete" in done.stderr, done.stderr
    told = json.loads(done.stdout)["online"]
    assert not told["complete"] and 0.45 * NY * NX < told["positions"] < 0.55 * NY * NX
    w = load(tmp_path / "r.npz")["loadings"]
    assert numpy.isfinite(w[: told["positions"]]).all() and not numpy.isfinite(w[told["positions"]:]).any()


def test_without_counts_and_with_masks(unmix, tmp_path):
    rng = numpy.random.default_rng(5)
    x = (rng.dirichlet([0.2] * 3, 600) @ rng.gamma(0.5, 1, (3, 80))).astype("f4").reshape(20, 30, 8, 10)
    numpy.save(tmp_path / "x.npy", x)
    fit = unmix("nmf", tmp_path / "x.npy", "-k", 3, "--online", "--patience", 0, "--batch", 100, "--mask-disc", "3,4,1.5",
                "-o", tmp_path / "r.npz", "--no-report")
    assert fit["k"] == 3 and not fit["weighted"] and fit["relative_error"] < 0.02
    assert numpy.isnan(load(tmp_path / "r.npz")["factors"]).any()


@pytest.mark.parametrize("options, words", [
    ([], "needs -k"),
    (["-k", 3, "--center", "com"], "leave out --center"),
    (["-k", 3, "--bin-scan", "2"], "leave out --bin-scan"),
    (["-k", 3, "--mask-beam", "3"], "--beam-center"),
    (["-k", 3, "--loss", "kl"], "plain factorisation"),
    (["-k", 3, "--second-pass", "1"], "exclude each other"),
    (["-k", 100000], "components are possible"),
])
def test_what_cannot_be(unmix, tmp_path, options, words):
    numpy.save(tmp_path / "x.npy", numpy.random.default_rng(1).poisson(2, (4, 5, 6, 7)).astype("u1"))
    done = unmix.run("nmf", tmp_path / "x.npy", "--online", "--patience", 0, "-o", tmp_path / "r.npz", *options)
    assert done.returncode in (1, 2) and words in done.stderr and not (tmp_path / "r.npz").exists(), done.stderr


def test_a_file_that_never_comes(unmix, tmp_path):
    line = unmix.fails("nmf", tmp_path / "no.npy", "-k", 2, "--online", "--patience", 0.3, "-o", tmp_path / "r.npz")
    assert "no.npy" in line
