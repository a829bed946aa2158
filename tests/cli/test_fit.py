"""unmix svd, nmf and run from the outside: keys, files, interruption, resuming."""
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest


@pytest.fixture(scope="module")
def mixture():
    """Three states in stripes with Poisson counts, and the exact expectation."""
    rng = np.random.default_rng(11)
    states = rng.gamma(0.4, size=(3, 14 * 16)) + 0.02
    states *= 900 / states.sum(1, keepdims=True)
    weight = np.zeros((10, 24, 3))
    for x in range(24):
        weight[:, x, x // 8] = 1
    weight = 0.9 * weight + 0.1 / 3
    return rng.poisson(weight @ states).reshape(10, 24, 14, 16).astype("u2")


@pytest.fixture
def scan(tmp_path, mixture):
    path = tmp_path / "scan.npy"
    np.save(path, mixture)
    return path


def test_svd_keys_and_values(unmix, scan, mixture, tmp_path):
    made = unmix("svd", scan, "-k", 6, "-o", tmp_path / "s.hspy", "-o", tmp_path / "s.npz", "--weights", "none",
                 "--scree", tmp_path / "scree.svg")
    assert {"singular_values", "total_variance", "elbow", "passes", "seconds", "peak_bytes"} <= set(made)
    x = mixture.reshape(240, 224).astype("f8")
    exact = np.linalg.svd(x, compute_uv=False)
    assert np.allclose(made["singular_values"], exact[:6], rtol=1e-4)
    assert made["total_variance"] == pytest.approx((x ** 2).sum(), rel=1e-6)
    assert (tmp_path / "scree.svg").read_text().startswith("<svg")
    assert (tmp_path / "s.hspy").is_file() and (tmp_path / "s.npz").is_file()
    weighted = unmix("svd", scan, "-o", tmp_path / "w.npz")
    a, b = x.sum(1), x.sum(0)
    scaled = x / np.sqrt(np.outer(np.where(a > 0, a, 1), np.where(b > 0, b, 1)))
    exact = np.linalg.svd(scaled, compute_uv=False)
    got = np.array(weighted["singular_values"])
    assert weighted["weighted"]
    assert np.allclose(got[:3], exact[:3], rtol=1e-4)
    # The rest is a bulk of noise without gaps: subspace iteration bounds those values from below.
    assert np.all(got <= exact[:len(got)] * (1 + 1e-5)) and np.all(got[3:] >= 0.998 * exact[3:len(got)])


def test_nmf_by_default_finds_k_and_says_so(unmix, scan, tmp_path):
    done = unmix.run("nmf", scan, "-o", tmp_path / "r.hspy")
    assert done.returncode == 0, done.stderr
    assert "k = 3" in done.stderr
    assert "convergence  reached" in done.stdout and "of the positions" in done.stdout
    assert (tmp_path / "r.hspy").is_file() and (tmp_path / "r.html").is_file()
    assert not list(tmp_path.glob("*checkpoint*")) and not list(tmp_path.glob("*.part"))
    page = (tmp_path / "r.html").read_text()
    assert "Evidence for the number of components" in page and "held-out deviance" in page
    given = unmix("nmf", scan, "-k", 3, "-o", tmp_path / "given.npz")
    assert "k_low" not in given
    assert "Evidence for the number" not in (tmp_path / "given.html").read_text()
    found = unmix("nmf", scan, "-o", tmp_path / "found.npz", "--no-report")
    chosen = unmix("choose", scan)
    assert [found[key] for key in ("k", "k_low", "k_high")] == [chosen[key] for key in ("recommended", "low", "high")]
    assert found["k"] == 3


def test_one_position_is_one_component(unmix, tmp_path):
    np.save(tmp_path / "one.npy", np.arange(1, 65, dtype="u2").reshape(1, 1, 8, 8))
    assert unmix("nmf", tmp_path / "one.npy", "-o", tmp_path / "r.npz", "--no-report")["k"] == 1


def test_nmf_keys(unmix, scan, mixture, tmp_path):
    made = unmix("nmf", scan, "-k", 3, "-o", tmp_path / "r.npz", "--no-report", "--weights", "none")
    assert {"k", "converged", "passes", "reads", "iterations", "frobenius_error", "relative_error", "kkt", "seed",
            "seconds", "peak_bytes"} <= set(made)
    saved = np.load(tmp_path / "r.npz", allow_pickle=True)
    x = mixture.reshape(240, 224).astype("f8")
    # learning_results of HyperSpy: factors pixels x k, loadings positions x k
    fit = saved["loadings"].astype("f8") @ saved["factors"].astype("f8").T
    assert made["frobenius_error"] == pytest.approx(np.linalg.norm(x - fit), rel=1e-6)
    assert made["relative_error"] == pytest.approx(made["frobenius_error"] / np.linalg.norm(x), rel=1e-6)
    assert made["files"] == [str(tmp_path / "r.npz")]


def test_runs_keep_the_best(unmix, scan, tmp_path):
    made = unmix("nmf", scan, "-k", 3, "-o", tmp_path / "r.npz", "--no-report", "--runs", 3, "--seed", 5)
    assert [r["seed"] for r in made["runs"]] == [5, 6, 7]
    assert [r["start"] for r in made["runs"]][1:] == ["random", "random"]
    errors = [r["weighted_error"] for r in made["runs"]]
    assert made["weighted_error"] == min(errors)
    assert [r["kept"] for r in made["runs"]].index(True) == errors.index(min(errors))


def test_the_poisson_likelihood(unmix, scan, mixture, tmp_path):
    words = ["nmf", scan, "-k", 3, "--loss", "kl", "--mask-beam", 2, "--no-report", "-o"]
    made = unmix(*words, tmp_path / "r.npz", "--threads", 1)
    assert made["loss"] == "kl" and made["converged"]
    with np.load(tmp_path / "r.npz") as saved:
        w, h = saved["loadings"].astype("f8"), saved["factors"].astype("f8")
    kept = ~np.isnan(h[:, 0])
    assert 0 < (~kept).sum() < 30
    x, y = mixture.reshape(240, 224)[:, kept].astype("f8"), w @ h[kept].T
    divergence = (np.where(x > 0, x * np.log(np.where(x > 0, x, 1) / y), 0) - x + y).sum()
    assert made["divergence"] == pytest.approx(divergence, rel=1e-5)
    unmix(*words, tmp_path / "b.npz", "--threads", 2, "--memory", "40M")
    assert factors(tmp_path / "r.npz") == factors(tmp_path / "b.npz")


@pytest.mark.parametrize("words", [["--sparse-loadings", 1, "--sparse-patterns", 1], ["--orthogonal", 0.05, "--dips", 0.01],
                                   ["--ard", "-k", 5], ["--probe", 0.8, "--sparse-loadings", 0.5], ["--smooth", 0.1], ["--robust", 4],
                                   ["--fixed", "known.npy"]], ids=lambda words: str(words[0]).strip("-"))
def test_variants_tell_their_price_with_the_same_bits(unmix, scan, mixture, tmp_path, words):
    np.save(tmp_path / "known.npy", mixture[0, 0].astype("f4"))
    words = [tmp_path / w if w == "known.npy" else w for w in words]
    made = []
    for i, own in enumerate((["--threads", 1], ["--threads", 2, "--memory", "40M"])):
        given = [] if "-k" in words else ["-k", 3]
        fit = unmix("nmf", scan, *given, *words, "-o", tmp_path / f"{i}.npz", "--no-report", "--max-passes", 40, *own)
        assert -1e-4 < fit["fit_cost"] < 10 and fit["variant_steps"] > 1
        assert fit["removed"] == (2 if "--ard" in words else 0)
        made.append(factors(tmp_path / f"{i}.npz"))
    assert made[0] == made[1]


def test_variants_that_do_not_go_together(unmix, scan, tmp_path):
    np.save(tmp_path / "small.npy", np.ones((3, 3)))
    for words, word in ((["--loss", "kl", "--ard"], "kl"), (["--probe", 1, "--smooth", 1], "exclude"),
                        (["--probe", 1, "--orthogonal", 1], "exclude"), (["--dips", 1, "--resume"], "resumed"),
                        (["--fixed", tmp_path / "small.npy"], "patterns"),
                        (["--fixed", tmp_path / "small.npy", "--ard"], "--fixed")):
        done = unmix.run("nmf", scan, "-k", 3, "-o", tmp_path / "r.npz", "--no-report", "--quiet", *words)
        assert done.returncode in (1, 2) and word in done.stderr, (words, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "r.npz").exists()


def factors(path):
    saved = np.load(path, allow_pickle=True)
    return saved["factors"].tobytes(), saved["loadings"].tobytes()


def test_same_bits_for_any_threads_and_budget(unmix, scan, tmp_path):
    made = []
    for i, words in enumerate([["--threads", 1], ["--threads", 2], ["--threads", 2, "--memory", "40M"]]):
        unmix("nmf", scan, "-k", 3, "-o", tmp_path / f"{i}.npz", "--no-report", *words)
        made.append(factors(tmp_path / f"{i}.npz"))
    assert made[0] == made[1] == made[2]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A scan that keeps nmf busy for long enough to be interrupted."""
    rng = np.random.default_rng(5)
    states = rng.gamma(0.3, size=(6, 48 * 48)) * 3
    weight = rng.dirichlet(np.ones(6) * 0.4, size=2400)
    path = tmp_path_factory.mktemp("large") / "scan.npy"
    np.save(path, rng.poisson(weight @ states).astype("u1").reshape(40, 60, 48, 48))
    return path


def start_slow(unmix, large, out, *more):
    words = ["nmf", large, "-k", 6, "-o", out, "--no-report", "--tolerance", "1e-12", "--max-passes", 3000,
             "--checkpoint-seconds", 0, "--progress", "json", *more]
    return subprocess.Popen([unmix.path, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def wait_for_passes(process, count):
    """Reads the progress until `count` passes of the NMF are done."""
    for line in process.stderr:
        event = json.loads(line)
        if event["stage"].startswith("NMF pass") and int(event["stage"].split()[-1]) > count:
            return
    pytest.fail("nmf ended before it could be interrupted")


@pytest.mark.heavy
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_with_130_and_no_output(unmix, large, tmp_path, number):
    out = tmp_path / "r.npz"
    process = start_slow(unmix, large, out)
    wait_for_passes(process, 2)
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    last = rest.strip().splitlines()[-1]
    assert last.startswith("unmix nmf: cancelled; the same command with --resume goes on from")
    assert [p.name for p in tmp_path.iterdir()] == ["r.npz.checkpoint"]


@pytest.mark.heavy
def test_a_kill_leaves_no_output_and_resume_ends_with_the_same_result(unmix, large, tmp_path):
    words = ["-k", 6, "--no-report", "--tolerance", "1e-12", "--max-passes", 15]
    unmix("nmf", large, "-o", tmp_path / "whole.npz", *words)
    process = start_slow(unmix, large, tmp_path / "r.npz", "--max-passes", 15)
    wait_for_passes(process, 4)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "r.npz").exists()
    assert (tmp_path / "r.npz.checkpoint").is_file()
    done = unmix.run("nmf", large, "-o", tmp_path / "r.npz", *words, "--resume", "--verbose")
    assert done.returncode == 0, done.stderr
    assert "going on from pass" in done.stderr
    assert factors(tmp_path / "r.npz") == factors(tmp_path / "whole.npz")
    assert not (tmp_path / "r.npz.checkpoint").exists()


def test_provenance_tells_how_to_do_it_again(unmix, scan, tmp_path):
    h5py = pytest.importorskip("h5py")
    unmix("nmf", scan, "-k", 2, "-o", tmp_path / "r.hspy", "--no-report", "--bin-signal", 2, "--seed", 9)
    found = []
    with h5py.File(tmp_path / "r.hspy") as file:
        def look(_, thing):
            for value in list(thing.attrs.values()) + ([thing[()]] if getattr(thing, "shape", None) == () else []):
                text = value.decode() if isinstance(value, bytes) else value
                if isinstance(text, str) and text.startswith("{") and "digest" in text:
                    found.append(json.loads(text))
        file.visititems(look)
    assert found, "no provenance in the result"
    told = found[0]
    assert {"input", "recipe", "prep", "options", "command", "version", "build", "seed", "seconds",
            "peak_bytes"} <= set(told)
    assert told["input"]["shape"] == [10, 24, 14, 16] and len(told["input"]["digest"]) == 64
    assert "bin-signal = 2" in told["recipe"] and told["seed"] == 9
    assert "--bin-signal 2" in told["command"] and str(scan) in told["command"]


def test_a_start_from_a_file_reproduces_the_fit(unmix, scan, tmp_path):
    first = unmix("nmf", scan, "-k", 3, "-o", tmp_path / "a.npz", "--no-report", "--tolerance", "1e-5")
    again = unmix("nmf", scan, "-k", 3, "-o", tmp_path / "b.npz", "--no-report", "--start", tmp_path / "a.npz")
    assert again["start"] == "file" and again["iterations"] <= first["iterations"]
    assert again["frobenius_error"] == pytest.approx(first["frobenius_error"], rel=1e-3)
    assert "--start takes" in unmix.fails("nmf", scan, "-k", 3, "-o", tmp_path / "c.npz", "--start", "nndsdv",
                                          status=2)


def test_options_that_exclude_each_other(unmix, scan, tmp_path):
    out = ["-o", tmp_path / "r.npz"]
    for words in (["--runs", 2, "--resume"], ["--no-checkpoint", "--resume"], ["--report", "x.html", "--no-report"],
                  ["--ard", "--checkpoint", "x.checkpoint"]):
        unmix.fails("nmf", scan, *out, *words, status=2)
    assert "given twice" in unmix.fails("nmf", scan, *out, *out, status=2)
    assert "-o OUT is needed" in unmix.fails("nmf", scan, status=2)
    assert "possible here" in unmix.fails("nmf", scan, *out, "-k", 5000, status=2)
    assert "--link-data needs" in unmix.fails("nmf", scan, *out, "--link-data", status=2)


def test_a_checkpoint_spares_input_and_outputs(unmix, scan, tmp_path):
    before = scan.read_bytes()
    for words, why in ((["--checkpoint", scan], "is the input"),
                       (["--checkpoint", tmp_path / "r.npz"], "is an output")):
        assert why in unmix.fails("nmf", scan, "-k", 2, "-o", tmp_path / "r.npz", *words, status=2)
    assert "folder" in unmix.fails("nmf", scan, "-k", 2, "-o", tmp_path / "r.npz", "--checkpoint",
                                   tmp_path / "no" / "c", status=1)
    assert scan.read_bytes() == before and not (tmp_path / "r.npz").exists()


@pytest.mark.heavy
def test_the_budget_changes_nothing_in_the_result(unmix, tmp_path):
    rng = np.random.default_rng(2)
    scan = tmp_path / "wide.npy"  # many positions of few pixels: maps are large beside the patterns
    np.save(scan, rng.poisson(9, (200, 150, 6, 6)).astype("u1"))
    arrays = []
    for memory in ("14M", "1G"):
        out = tmp_path / f"{memory}.npz"
        unmix("nmf", scan, "-k", 2, "-o", out, "--no-report", "--memory", memory, "--max-passes", 3)
        with np.load(out) as z:
            arrays.append({name: z[name] for name in z.files if name not in ("provenance", "unmix_model")})
    assert arrays[0].keys() == arrays[1].keys()
    for name, values in arrays[0].items():
        assert np.array_equal(values, arrays[1][name], equal_nan=values.dtype.kind == "f"), name


def test_a_link_leads_to_the_scan_that_was_fitted(unmix, scan, tmp_path):
    h5py = pytest.importorskip("h5py")
    folder = tmp_path / "data"
    folder.mkdir()
    unmix("convert", scan, folder / "s.hspy")
    unmix("convert", scan, tmp_path / "s.hspy", "--bin-signal", 2)  # another of that name where we are
    unmix("nmf", "data/s.hspy", "-k", 2, "-o", "data/r.hspy", "-o", "r.hspy", "--no-report", "--link-data",
          "--max-passes", 2, cwd=tmp_path)
    with h5py.File(folder / "s.hspy") as f:
        values = f["Experiments"][list(f["Experiments"])[0]]["data"][...]
    for name, target in (("data/r.hspy", "s.hspy"), ("r.hspy", str(folder / "s.hspy"))):
        with h5py.File(tmp_path / name) as f:
            experiment = f["Experiments"][list(f["Experiments"])[0]]
            assert experiment.get("data", getlink=True).filename == target
            assert (experiment["data"][...] == values).all()


PLAN = """[input]
file = {a}
file = {b}
[prep]
mask-disc = 7,8,2
[image]
aperture = spot:disc:7,8,3
[svd]
k = 5
[nmf]
k = 3
[output]
folder = {out}
formats = hspy npz
"""


def test_a_plan_runs_everything_for_every_scan(unmix, mixture, tmp_path):
    a, b = tmp_path / "one.npy", tmp_path / "two.npy"
    np.save(a, mixture)
    np.save(b, mixture[::-1])
    plan = tmp_path / "plan.ini"
    out = tmp_path / "out"
    plan.write_text(PLAN.format(a=a, b=b, out=out))
    made = unmix("run", plan)
    assert [s["file"] for s in made["scans"]] == [str(a), str(b)]
    for scan in made["scans"]:
        assert scan["nmf"]["k"] == 3 and len(scan["svd"]["singular_values"]) == 5
        for name in ("result.hspy", "result.npz", "result.html", "svd.hspy", "scree.svg",
                     "pictures/virtual_spot.png"):
            assert os.path.isfile(os.path.join(scan["folder"], name)), name
    page = (out / "index.html").read_text()
    assert "one/result.html" in page and "two/result.html" in page
    assert all(stage["state"] == "kept" for stage in unmix("run", plan)["stages"])


@pytest.mark.parametrize("old, new, word", [
    ("k = 3", "kk = 3", "kk"), ("k = 3", "k = x", "--k takes"), ("[svd]", "[svdd]", "no such section"),
    ("mask-disc = 7,8,2", "mask-dics = 7,8,2", "mask-dics"), ("formats = hspy npz", "formats = xls", "formats"),
    ("k = 3", "output = x.hspy", "chosen by the plan"), ("k = 3", "threads = 3", "no option that can")])
def test_a_wrong_plan_is_told_before_any_work(unmix, scan, tmp_path, old, new, word):
    plan = tmp_path / "plan.ini"
    plan.write_text(PLAN.format(a=scan, b=scan, out=tmp_path / "out").replace(old, new, 1))
    assert word in unmix.fails("run", plan, status=2)
    assert not (tmp_path / "out").exists()
