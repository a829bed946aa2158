"""unmix score against its definitions in NumPy and SciPy, on random patterns and drawn maps."""
import numpy
import pytest
from scipy import ndimage

import score_reference as reference


def near(ours, theirs, tolerance=1e-6):
    """Numbers, lists and objects; None where a number has no meaning."""
    if isinstance(theirs, dict):
        for key in theirs:
            assert near(ours[key], theirs[key], tolerance), (key, ours[key], theirs[key])
        return True
    if isinstance(theirs, (list, tuple, numpy.ndarray)):
        return len(ours) == len(theirs) and all(near(a, b, tolerance) for a, b in zip(ours, theirs))
    if theirs is None or ours is None:
        return theirs is None and ours is None
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))


def patterns(random, states, ky=10, kx=12, spots=9):
    """Sharp spots, some of them in several states, over a faint floor."""
    out = numpy.full((states, ky * kx), 1e-3)
    for state in out:
        state[random.choice(ky * kx, spots, replace=False)] += random.uniform(0.2, 1.0, spots)
    return out


def maps(random, states, ny, nx, sigma):
    image = ndimage.gaussian_filter(random.random((ny, nx)), 2.5)
    edges = numpy.quantile(image, numpy.linspace(0, 1, states + 1)[1:-1])
    grain = numpy.digitize(image, edges)
    fraction = numpy.stack([ndimage.gaussian_filter((grain == t).astype(float), sigma) for t in range(states)], -1)
    return fraction / fraction.sum(-1, keepdims=True)


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
        true = file["factors"].astype(float).T, file["loadings"].astype(float)
        labels = file["labels"].astype(int).ravel()
    with numpy.load(result) as file:
        found = file["factors"].astype(float).T, file["loadings"].astype(float)
    known = reference.Reference(found, true, (9, 11, 6, 8))
    ours = numpy.array(score["component_of"])
    kept = numpy.flatnonzero(ours >= 0)
    assert len(kept) == min(states, components) == len(set(ours[kept]))
    assert near(numpy.array(score["cosine"])[kept], known.cosine[kept, ours[kept]])
    best = sum(known.cosine[t, c] for t, c in known.component_of.items())
    assert abs(known.cosine[kept, ours[kept]].sum() - best) < 1e-9
    for r, one in enumerate(score["nearest"]):
        assert one["state"] == known.nearest[r] and near(one["cosine"], known.cosine[:, r].max())
    # One to one, the strongest component names the position; one without a state is wrong.
    state_of = {int(c): t for t, c in enumerate(ours) if c >= 0}
    called = numpy.array([state_of.get(int(c), -1) for c in known.result_counts.argmax(axis=1)])
    seen = numpy.ones(99, bool)
    per_class, accuracy = reference.label_scores(labels, called, states, seen, known.image)
    assert near(score["per_class"], per_class)
    assert near(score["label_accuracy"], accuracy[0])
    assert near(score["baseline"], numpy.bincount(labels).max() / 99)


@pytest.mark.parametrize("seed, states, components, excluded, given", [
    (10, 4, 6, False, True), (11, 5, 5, True, True), (12, 5, 4, True, False), (13, 3, 3, False, False)])
def test_maps_fractions_and_patterns(unmix, tmp_path, seed, states, components, excluded, given):
    """Noisy results of drawn truths, with masks, states of unequal intensity, phases of several states."""
    random = numpy.random.default_rng(seed)
    shape = ny, nx, ky, kx = 23, 18, 10, 12
    sigma = 0.9
    fractions = maps(random, states, ny, nx, sigma)
    true = patterns(random, states), fractions.reshape(-1, states) * random.uniform(50, 200, states)
    mixing = numpy.vstack([numpy.eye(states), random.random((components, states))])[:components]
    found = (mixing @ true[0] * random.uniform(0.6, 1.3, (components, ky * kx)),
             true[1] @ mixing.T + random.exponential(9.0, (ny * nx, components)))
    phases = ["one", "two", "one", "three", "two"][:states]
    background = [phase == "one" and excluded for phase in phases]
    masks, kept, seen = {}, numpy.ones(ky * kx, bool), numpy.ones(ny * nx, bool)
    if excluded:
        kept[random.choice(ky * kx, 15)] = False
        seen[random.choice(ny * nx, 40)] = False
        found[0][:, ~kept] = numpy.nan
        found[1][~seen] = numpy.nan
        masks = {"signal_mask": ~kept.reshape(ky, kx), "navigation_mask": ~seen.reshape(ny, nx)}
    reference.write_model(tmp_path / "result.npz", *found, shape, masks=masks)
    reference.write_model(
        tmp_path / "truth.npz", *true, shape, {"fractions": fractions} if given else {},
        {"simulation": {"states": [{"name": f"s{t}", "phase": phases[t], "background": background[t],
                                    "geometry_only": t == 1} for t in range(states)]}})
    score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz", "--probe", sigma, "--least-fraction", 0.3)
    known = reference.Reference(found, true, shape, fractions if given else None, kept, seen)
    assert score["component_of"] == [known.component_of.get(t, -1) for t in range(states)]
    assert [one["counted_for"] for one in score["nearest"]] == known.state_of.tolist()
    assert [c["geometry_only"] for c in score["per_class"]] == [t == 1 for t in range(states)]
    assert [c["phase"] for c in score["per_class"]] == phases

    names = list(dict.fromkeys(phases))
    by_phase = numpy.array([[phase == name for name in names] for phase in phases], float)
    for view, group in (("by_state", numpy.eye(states)), ("by_phase", by_phase)):
        ours, share, got = score[view], known.share @ group, known.found @ group
        behind = [all(background[t] for t in numpy.flatnonzero(column)) for column in group.T]
        label = reference.labels(share, behind, 0.3)
        classes, accuracy = reference.label_scores(label, reference.labels(got, behind, 0.3), len(behind), seen,
                                                   known.image)
        assert near(ours["classes"], classes) and near(ours["accuracy"], accuracy)
        count = numpy.bincount(label[seen], minlength=len(behind))
        assert near(ours["baseline"], reference.baseline(label, count.argmax(), seen, known.image))
        if any(behind):
            most = numpy.where(behind, count, -1).argmax()
            assert near(ours["baseline_background"], reference.baseline(label, most, seen, known.image))
        else:
            assert ours["baseline_background"] == [None] * 3
        error = (got - share)[seen]
        assert near(ours["fraction_rms"], numpy.sqrt((error ** 2).mean()))
        for i, one in enumerate(ours["classes"]):
            assert near(one, {"fraction_bias": error[:, i].mean(), "fraction_rms": numpy.sqrt((error[:, i] ** 2).mean()),
                              "fraction_true": share[seen, i].mean(), "fraction_found": got[seen, i].mean()})
        assert ours["particles"] is None
    some_shared = 0
    for t, one in enumerate(score["per_class"]):
        dip, shared, lacking = reference.dips(known, t)
        assert near(one, {"dip": dip, "shared_reflections": shared, "shared_missing": lacking})
        some_shared += shared
        powers = [reference.beyond(known.image(m[:, t]), sigma, known.image(seen))
                  if m[:, t].any() else None for m in (known.true_counts, known.pooled)]
        assert near([one["beyond_cut_off_true"], one["beyond_cut_off_found"]], powers, 1e-5)
        assert near(one["sharpness"], powers[1] / powers[0] if powers[1] is not None else None, 1e-3)
    assert some_shared > 0


def draw(table, states, ny, nx, step, sigma):
    """Fractions of a matrix, state 0, with boxes of a tenth to the whole of its thickness in it."""
    y, x = numpy.indices((ny, nx))
    fraction = numpy.zeros((ny, nx, states))
    for row in table:
        inside = reference.rectangle_distance(row, y, x, step) == 0
        fraction[inside, int(row[0])] += row[5]
    fraction = ndimage.gaussian_filter(fraction, (sigma, sigma, 0))
    fraction /= numpy.maximum(1.0, fraction.sum(-1, keepdims=True))
    fraction[..., 0] = 1 - fraction[..., 1:].sum(-1)
    return fraction


@pytest.mark.parametrize("seed, count, noise", [(20, 14, 0.03), (21, 60, 0.05), (22, 25, 0.12), (23, 0, 0.06)])
def test_particles(unmix, tmp_path, seed, count, noise):
    """Plates in three variants of two phases, faint ones, ones grown together, ones beyond the edge."""
    random = numpy.random.default_rng(seed)
    states, step, least = 4, 2.5, 0.15
    shape = ny, nx, ky, kx = 48, 61, 10, 12
    table = numpy.stack([random.integers(1, states, count), random.uniform(-3, ny + 2, count),
                         random.uniform(-3, nx + 2, count), random.uniform(4, 40, count), random.uniform(2, 9, count),
                         random.uniform(0.05, 1.0, count), random.uniform(0, 180, count),
                         random.uniform(0, 90, count), numpy.arange(count)], 1)
    if count == 0:  # A particle that hardly shows, so that the truth has a table.
        table = numpy.array([[1, 20.2, 30.4, 3.0, 3.0, 0.01, 0, 5, 0]])
    fractions = draw(table, states, ny, nx, step, 0.8)
    true = patterns(random, states), fractions.reshape(-1, states) * 1000
    found = true[0], numpy.maximum(0, true[1] + random.normal(0, noise * 1000, true[1].shape))
    seen = numpy.ones(ny * nx, bool)
    seen.reshape(ny, nx)[:, 40:44] = False
    found[1][~seen] = numpy.nan
    reference.write_model(tmp_path / "result.npz", *found, shape,
                          masks={"navigation_mask": ~seen.reshape(ny, nx)}, step_nm=step)
    phases = ["matrix", "rod", "plate", "plate"]
    reference.write_model(
        tmp_path / "truth.npz", *true, shape, {"fractions": fractions, "particles": table},
        {"simulation": {"states": [{"name": f"s{t}", "phase": phases[t], "background": t == 0} for t in range(4)]}},
        step_nm=step)
    score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz", "--least-fraction", least,
                  "--least-size", 3)
    known = reference.Reference(found, true, shape, fractions, None, seen)
    area = seen.sum() * step * step * 1e-6
    seen_all = []
    by_phase = numpy.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1.0]])
    for view, group in (("by_state", numpy.eye(4)), ("by_phase", by_phase)):
        ours, share, got = score[view], known.share @ group, known.found @ group
        assert ours["classes"][0]["background"] and ours["classes"][0]["particles"] is None
        total = dict.fromkeys(("particles", "regions", "hits", "faint", "merged"), 0)
        for i in range(1, group.shape[1]):
            rows = table[group[table[:, 0].astype(int), i] == 1]
            one = reference.particles(rows, share[:, i], got[:, i], least, 3, step, seen, known.image)
            assert near(ours["classes"][i]["particles"], one | reference.densities(one, area))
            total = {key: total[key] + one[key] for key in total}
        assert near(ours["particles"], total | reference.densities(total, area))
        seen_all.append(total)
    if seed == 21:  # The drawing has what the numbers are about.
        assert seen_all[0]["hits"] > 5 and seen_all[0]["faint"] > 0 and seen_all[0]["merged"] > 0


def test_counting_interval_of_no_and_of_many(unmix, tmp_path):
    """Regions without a particle: the density found has its interval, the relative error has no meaning."""
    shape, side = (30, 30, 2, 2), 30
    for regions in (0, 1, 49, 196):
        dots = numpy.zeros((side, side))
        at = numpy.arange(1, 29, 2)
        dots[numpy.ix_(at, at)] = numpy.arange(196).reshape(14, 14) < regions
        truth = numpy.zeros((900, 2))
        truth[:, 0] = 100
        table = numpy.array([[1, -50, -50, 1, 1, 1, 0, 0, 0]])
        found = numpy.stack([1 - dots.ravel(), dots.ravel()], 1) * 100
        ends = numpy.array([[1, 0, 0, 0], [0, 1, 1, 0.]])
        states = [{"name": "m", "phase": "m", "background": True}, {"name": "p", "phase": "p"}]
        fractions = truth.reshape(30, 30, 2) / 100
        fractions[0, 0] = truth[0] = 0.5, 0.5  # What a full position of the second state counts.
        truth[0] *= 100
        reference.write_model(tmp_path / "truth.npz", ends, truth, shape, {"particles": table, "fractions": fractions},
                              {"simulation": {"states": states}}, step_nm=1000)
        reference.write_model(tmp_path / "result.npz", ends, found, shape)
        score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz", "--least-size", 1)
        one = score["by_state"]["particles"]
        # The particle is off the scan, but the corner that it was mixed into is its position.
        assert one["regions"] == regions and one["particles"] == 1 and one["hits"] == 0
        counts = {"particles": 1, "regions": regions, "hits": 0}
        assert near(one, reference.densities(counts, 900.0), 1e-9)


def test_sharpness_tells_band_limit(unmix, tmp_path):
    """The truth against itself has the sharpness 1; with its maps sharpened more, blurred less."""
    random = numpy.random.default_rng(5)
    shape, sigma = (40, 40, 10, 12), 1.2
    fractions = maps(random, 3, 40, 40, sigma)
    true = patterns(random, 3), fractions.reshape(-1, 3) * 100
    reference.write_model(tmp_path / "truth.npz", *true, shape, {"fractions": fractions})
    blurred = ndimage.gaussian_filter(fractions, (0.7, 0.7, 0)).reshape(-1, 3)
    steps = (fractions == fractions.max(-1, keepdims=True)).reshape(-1, 3).astype(float)
    ratios = []
    for maps_found in (blurred, true[1], steps):
        reference.write_model(tmp_path / "result.npz", true[0], maps_found, shape)
        score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz", "--probe", sigma)
        ratios.append([one["sharpness"] for one in score["per_class"]])
    # What the truth says of its probe is taken, unless told otherwise.
    reference.write_model(tmp_path / "told.npz", *true, shape, {"fractions": fractions}, {"simulation": {"probe_px": sigma}})
    assert unmix("score", tmp_path / "result.npz", tmp_path / "told.npz") == score
    other = unmix("score", tmp_path / "result.npz", tmp_path / "told.npz", "--probe", 2)
    assert score["probe_px"] == sigma and other["probe_px"] == 2 and other["cut_off_per_px"] < score["cut_off_per_px"]
    assert max(ratios[0]) < 0.9 and near(ratios[1], [1, 1, 1], 1e-3) and min(ratios[2]) > 2
    # Without a probe, or with one that the step does not resolve, there is no such number, and that is said.
    for options in ((), ("--probe", 0.6)):
        score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz", *options)
        assert all(one["sharpness"] is None for one in score["per_class"]) and score["cut_off_per_px"] is None
        assert "no sharpness" in unmix.run("score", tmp_path / "result.npz", tmp_path / "truth.npz", *options).stdout


def test_dip_is_what_another_component_took(unmix, tmp_path):
    """Two states share two of four reflections; the second component has all of one and half of the other."""
    ends = numpy.zeros((2, 8, 8))
    for (state, y, x) in ((0, 1, 1), (0, 1, 6), (0, 4, 1), (0, 4, 6), (1, 4, 1), (1, 4, 6), (1, 6, 3), (1, 2, 3)):
        ends[state, y, x] = 1.0
    found = ends.copy()
    found[0, 4, 1], found[0, 4, 6] = 0.0, 0.6
    loadings = numpy.array([[10, 0], [0, 10], [5, 5], [2, 8.]])
    shape = (2, 2, 8, 8)
    reference.write_model(tmp_path / "truth.npz", ends.reshape(2, -1), loadings, shape)
    reference.write_model(tmp_path / "result.npz", found.reshape(2, -1), loadings, shape)
    score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz")
    first, second = score["per_class"]
    assert score["by_phase"] is None and (first["name"], second["name"]) == ("state 0", "state 1")
    assert near(first, {"dip": 0.7, "shared_reflections": 2, "shared_missing": 1})
    assert near(second, {"dip": 0.0, "shared_reflections": 2, "shared_missing": 0})


def test_tables_for_people(unmix, tmp_path):
    """Names, phases and dashes; the same numbers as --json."""
    random = numpy.random.default_rng(9)
    shape = (12, 14, 10, 12)
    fractions = maps(random, 3, 12, 14, 0.8)
    true = patterns(random, 3), fractions.reshape(-1, 3) * 100
    states = [{"name": "Al [001]", "phase": "Al", "background": True}, {"name": "θ′ a", "phase": "θ′"},
              {"name": "θ′ b", "phase": "θ′", "geometry_only": True}]
    table = numpy.array([[1, 3, 3, 2, 2, 1, 0, 0, 0.]])
    reference.write_model(tmp_path / "truth.npz", *true, shape, {"fractions": fractions, "particles": table},
                          {"simulation": {"states": states}})
    reference.write_model(tmp_path / "result.npz", *true, shape)
    text = unmix.run("score", tmp_path / "result.npz", tmp_path / "truth.npz").stdout
    score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz")
    assert "Positions by phase" in text and "θ′ b" in text and "positions of reflections only" in text
    assert f"{100 * score['by_phase']['accuracy'][0]:.2f} %" in text
    # Without a step in nm there is no density.
    assert score["by_state"]["particles"]["density_found_per_um2"] is None


def test_truths_that_do_not_fit(unmix, tmp_path):
    for name, size in (("a", "6x5"), ("b", "5x6")):
        unmix("simulate", "-o", tmp_path / f"{name}.npy", "--truth", tmp_path / f"{name}.hspy", "--size",
              size, "--pattern-size", "16x16", "--regions", 10)
    line = unmix.fails("score", tmp_path / "a.hspy", tmp_path / "b.hspy")
    assert "6x5" in line and "5x6" in line
    (tmp_path / "not.npz").write_bytes(b"PK\x03\x04 nothing")
    unmix.fails("score", tmp_path / "not.npz", tmp_path / "b.hspy")
    random = numpy.random.default_rng(1)
    model = patterns(random, 2), random.random((6, 2))
    reference.write_model(tmp_path / "result.npz", *model, (2, 3, 10, 12))
    states = [{"name": "one"}]
    for arrays, said, word in (({"particles": numpy.zeros((2, 8))}, {}, "9 columns"),
                               ({"particles": numpy.full((1, 9), 7)}, {}, "column 0"),
                               ({"fractions": numpy.ones((2, 3, 3))}, {}, "18 fractions"),
                               ({"labels": numpy.full((2, 3), 5)}, {}, "label 5"),
                               ({}, {"simulation": {"states": states}}, "names 1 states")):
        reference.write_model(tmp_path / "truth.npz", *model, (2, 3, 10, 12), arrays, said)
        assert word in unmix.fails("score", tmp_path / "result.npz", tmp_path / "truth.npz")


def test_states_that_occur_nowhere_take_no_component(unmix, tmp_path):
    """A component that looks most like a state which is not in the scan counts for the nearest that is."""
    random = numpy.random.default_rng(21)
    shape = 9, 11, 10, 12
    true = patterns(random, 4), random.uniform(1, 50, (99, 4))
    true[1][:, 1] = 0
    found = true[0][[0, 1, 2]] + 0.02 * random.random((3, 120)), random.exponential(9.0, (99, 3))
    reference.write_model(tmp_path / "result.npz", *found, shape)
    reference.write_model(tmp_path / "truth.npz", *true, shape)
    score = unmix("score", tmp_path / "result.npz", tmp_path / "truth.npz")
    known = reference.Reference(found, true, shape)
    assert known.cosine[:, 1].argmax() == 1  # it does look like the one that is not there
    assert score["component_of"] == [known.component_of.get(t, -1) for t in range(4)] and score["component_of"][1] == -1
    assert [one["state"] for one in score["nearest"]] == known.nearest.tolist() and known.nearest[1] != 1
    assert [one["counted_for"] for one in score["nearest"]] == known.state_of.tolist()
    assert [c["absent"] for c in score["per_class"]] == [False, True, False, False]
