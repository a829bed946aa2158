"""unmix nmf --second-pass: phases that the first components miss, against the truth, SciPy and scans without any."""
import numpy
import pytest
from scipy.optimize import nnls

NY, NX, SIDE, STATES = 36, 40, 24, 3


def make_scan(seed, rare=1, share=0.012, counts=600):
    """Grains of three states of spots on a common background, and rare states in small discs."""
    rng = numpy.random.default_rng([seed, 501])
    y, x = numpy.mgrid[:SIDE, :SIDE]
    patterns = numpy.full((STATES + rare, SIDE, SIDE), 0.2)
    for pattern in patterns:
        for cy, cx, strength in zip(*rng.uniform(2, SIDE - 3, (2, 9)), rng.gamma(2, 3, 9)):
            pattern += strength * numpy.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2)
        pattern /= pattern.sum()
    yy, xx = numpy.mgrid[:NY, :NX]
    at = rng.uniform(0, 1, (2, 8)) * numpy.array([NY, NX])[:, None]
    labels = (numpy.arange(8) % STATES)[numpy.argmin((yy[..., None] - at[0]) ** 2 + (xx[..., None] - at[1]) ** 2, axis=2)]
    for state in range(STATES, STATES + rare):
        while (labels == state).mean() < share:
            labels[(yy - rng.uniform(0, NY)) ** 2 + (xx - rng.uniform(0, NX)) ** 2 <= 1.6**2] = state
    scan = rng.poisson(counts * patterns[labels]).astype("u2")
    return scan, patterns.reshape(len(patterns), -1), labels


def load(path):
    with numpy.load(path) as file:
        return {name: file[name] for name in file.files}


def test_a_missed_phase_is_found_and_the_first_components_stay(unmix, tmp_path):
    scan, patterns, labels = make_scan(1)
    numpy.save(tmp_path / "scan.npy", scan)
    mask = numpy.zeros((SIDE, SIDE), bool)
    mask[:2, 5:9] = True
    numpy.save(tmp_path / "mask.npy", mask)
    off = numpy.zeros((NY, NX), bool)
    off[7, 3:9] = True
    numpy.save(tmp_path / "off.npy", off)
    common = ["nmf", tmp_path / "scan.npy", "-k", STATES, "--signal-mask", tmp_path / "mask.npy", "--navigation-mask",
              tmp_path / "off.npy", "--no-report"]
    plain = unmix(*common, "-o", tmp_path / "plain.npz")
    fit = unmix(*common, "--second-pass", "auto", "-o", tmp_path / "two.npz")
    told = fit["second_pass"]
    assert fit["k"] == STATES + 1 and told["first"] == STATES and told["components"] == 1
    assert plain["localised_excess"]["positions"] > 0 and "localised_excess" not in fit
    assert told["positions_after"] < 0.1 * told["positions_before"] and told["pixels"] > 0
    assert told["gain"] == pytest.approx(1 - (fit["weighted_error"] / plain["weighted_error"]) ** 2, rel=1e-6)

    one, two = load(tmp_path / "plain.npz"), load(tmp_path / "two.npz")
    assert two["component_pass"].tolist() == [1] * STATES + [2]
    first = {h.tobytes() for h in one["factors"].T}
    assert all(h.tobytes() in first for h in two["factors"].T[:STATES])

    h, w = two["factors"].astype(float), two["loadings"].astype(float)
    keep = ~mask.ravel()
    cosine = h[keep, STATES] @ patterns[STATES, keep]
    assert cosine / numpy.linalg.norm(h[keep, STATES]) / numpy.linalg.norm(patterns[STATES, keep]) > 0.98
    rare = (labels == STATES).ravel() & ~off.ravel()
    strongest = numpy.argmax(numpy.nan_to_num(w) * numpy.nansum(h, axis=0), axis=1)
    assert (strongest[rare] == STATES).mean() > 0.95 and (strongest[~rare & ~off.ravel()] == STATES).mean() < 0.01

    # Loadings are the weighted non-negative least squares solution for the patterns that are stored.
    x = scan.reshape(NY * NX, -1).astype(float)
    b = x[~off.ravel()].sum(axis=0)
    use = keep & (b > 0)
    v = 1 / numpy.sqrt(b[use])
    for p in numpy.flatnonzero(~off.ravel())[::97].tolist() + numpy.flatnonzero(rare)[:5].tolist():
        best, _ = nnls(h[use] * v[:, None], x[p, use] * v)
        assert w[p] == pytest.approx(best, abs=2e-3 * best.max())


def test_two_missed_phases_and_at_most_one(unmix, tmp_path):
    scan, patterns, _ = make_scan(2, rare=2)
    numpy.save(tmp_path / "scan.npy", scan)
    results = []
    for threads in (1, 2):
        fit = unmix("nmf", tmp_path / "scan.npy", "-k", STATES, "--second-pass", "auto", "-o", tmp_path / f"{threads}.npz",
                    "--no-report", "--threads", threads)
        assert fit["second_pass"]["components"] == 2
        results.append(load(tmp_path / f"{threads}.npz"))
    assert all(results[0][name].tobytes() == results[1][name].tobytes() for name in ("factors", "loadings"))
    h = results[0]["factors"].astype(float)[:, STATES:]
    cosine = (patterns[STATES:] @ h) / numpy.linalg.norm(h, axis=0) / numpy.linalg.norm(patterns[STATES:], axis=1)[:, None]
    assert cosine.max(axis=1).min() > 0.97 and set(cosine.argmax(axis=1)) == {0, 1}
    page = tmp_path / "one.html"
    fit = unmix("nmf", tmp_path / "scan.npy", "-k", STATES, "--second-pass", 1, "-o", tmp_path / "one.npz", "--report", page)
    assert fit["k"] == STATES + 1
    text = page.read_text()
    assert "Second pass on the residual" in text and text.count("· second pass") == 1


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_nothing_is_added_where_only_noise_is_left(unmix, tmp_path, seed):
    numpy.save(tmp_path / "scan.npy", make_scan(seed, rare=0)[0])
    fit = unmix("nmf", tmp_path / "scan.npy", "-k", STATES, "--second-pass", "auto", "-o", tmp_path / "r.npz", "--no-report")
    assert fit["k"] == STATES and fit["second_pass"]["components"] == 0 and fit["second_pass"]["gain"] == 0
    assert "component_pass" not in load(tmp_path / "r.npz")


def test_one_struck_pattern_is_no_phase(unmix, tmp_path):
    """A residual that has nothing in common with another."""
    scan = make_scan(6, rare=0)[0]
    rng = numpy.random.default_rng(4)
    for y, x in rng.integers(0, 36, (6, 2)):
        scan[y, x][tuple(rng.integers(0, SIDE, 2))] += 400
    numpy.save(tmp_path / "scan.npy", scan)
    fit = unmix("nmf", tmp_path / "scan.npy", "-k", STATES, "--second-pass", "auto", "-o", tmp_path / "r.npz", "--no-report")
    assert fit["second_pass"]["positions_before"] >= 6 and fit["second_pass"]["components"] == 0


def test_few_positions_one_line_and_one_component(unmix, tmp_path):
    rng = numpy.random.default_rng(9)
    for name, shape in (("line", (1, 40, 6, 7)), ("tiny", (2, 2, 3, 3)), ("column", (30, 1, 1, 9))):
        numpy.save(tmp_path / f"{name}.npy", rng.poisson(3, shape).astype("u1"))
        fit = unmix("nmf", tmp_path / f"{name}.npy", "-k", 1, "--second-pass", 3, "-o", tmp_path / f"{name}.npz", "--no-report")
        assert fit["second_pass"]["first"] == 1


@pytest.mark.parametrize("options, words", [
    (["--second-pass", "0"], "auto or a number"),
    (["--second-pass", "many"], "auto or a number"),
    (["--second-pass", "2", "--weights", "none"], "Poisson weights"),
    (["--second-pass", "2", "--loss", "kl"], "goes on from the plain fit"),
    (["--second-pass", "2", "--ard"], "goes on from the plain fit"),
])
def test_what_cannot_be(unmix, tmp_path, options, words):
    numpy.save(tmp_path / "scan.npy", numpy.random.default_rng(1).poisson(3, (4, 5, 6, 7)).astype("u1"))
    done = unmix.run("nmf", tmp_path / "scan.npy", "-k", 2, "-o", tmp_path / "r.npz", *options)
    assert done.returncode in (1, 2) and words in done.stderr and not (tmp_path / "r.npz").exists()
