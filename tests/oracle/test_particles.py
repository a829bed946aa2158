"""unmix measure against SciPy and scikit-image: intervals, shapes, tables, spot checks."""
import csv
import json

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage import measure as regions

from score_reference import write_model

STEP, THICKNESS = 2.0, 60.0


def make(path, segments, fractions=None, identification=None, mask=None, step_nm=STEP, seed=0):
    """A segmented model: segments (k, ny, nx)."""
    k, ny, nx = segments.shape
    rng = np.random.default_rng(seed)
    loadings = rng.uniform(1, 3, (ny * nx, k))
    arrays = {"segments": segments}
    if fractions is not None:
        arrays["fractions"] = fractions
    provenance = {"identification": identification} if identification else {}
    masks = {"navigation_mask": mask} if mask is not None else {}
    write_model(path, rng.uniform(1, 2, (k, 12)), loadings, (ny, nx, 3, 4), arrays, provenance, step_nm, masks)
    return loadings.reshape(ny, nx, k)


def discs(rng, ny, nx, count, low=2, high=5):
    """Particles of two classes that may overlap; numbered by class."""
    y, x = np.mgrid[:ny, :nx]
    segments = np.zeros((2, ny, nx))
    for c in range(2):
        field = np.zeros((ny, nx), bool)
        for _ in range(count):
            cy, cx, r, s, turn = *rng.uniform(0, (ny, nx)), rng.uniform(low, high), rng.uniform(0.4, 1), rng.uniform(0, np.pi)
            u, v = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn), (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
            field |= u ** 2 + (v / s) ** 2 < r * r
        label = ndimage.label(field, np.ones((3, 3)))[0]
        segments[c] = np.where(label > 0, label + segments.max(), 0)
    return segments


@pytest.fixture(scope="module")
def field():
    rng = np.random.default_rng(3)
    segments = discs(rng, 50, 70, 14)
    fractions = np.where(segments > 0, rng.uniform(0.1, 0.5, segments.shape), 0)
    return segments, fractions


def test_particles_are_those_of_scikit_image(unmix, field, tmp_path):
    segments, fractions = field
    loadings = make(tmp_path / "s.npz", segments, fractions)
    got = unmix("measure", tmp_path / "s.npz", "--thickness", THICKNESS)["particles"]
    assert [p["id"] for p in got] == list(range(1, int(segments.max()) + 1))
    for c in range(2):
        for r in regions.regionprops(segments[c].astype(int)):
            p = got[r.label - 1]
            ny, nx = segments.shape[1:]
            assert p["class"] == c and p["phase"] == f"class {c}" and p["area_px"] == r.area
            assert p["area_nm2"] == pytest.approx(r.area * STEP ** 2)
            assert p["equivalent_diameter_nm"] == pytest.approx(r.equivalent_diameter_area * STEP)
            # Theirs are axes of an ellipse, 4 sigma of points; ours sides of a rectangle, sqrt(12) sigma of squares.
            sigma = [np.hypot(axis / 4, 1 / np.sqrt(12)) for axis in (r.axis_major_length, r.axis_minor_length)]
            assert p["length_nm"] == pytest.approx(sigma[0] * STEP * np.sqrt(12), rel=1e-6)
            assert p["width_nm"] == pytest.approx(sigma[1] * STEP * np.sqrt(12), rel=1e-6)
            if r.axis_major_length > 1.001 * r.axis_minor_length:
                angle = np.rad2deg(r.orientation) + 90  # theirs is from the rows, counter-clockwise
                assert (p["orientation_deg"] - angle + 90) % 180 == pytest.approx(90, abs=1e-4)
            assert p["centre_px"] == pytest.approx(r.centroid)
            y, x = r.coords.T
            assert p["at_px"] in r.coords.tolist()
            assert p["mean_fraction"] == pytest.approx(fractions[c, y, x].mean())
            assert p["mean_loading"] == pytest.approx(loadings[y, x, c].mean(), rel=1e-6)
            assert p["volume_nm3"] == pytest.approx(fractions[c, y, x].sum() * STEP ** 2 * THICKNESS)
            border = [n for n, at in (("top", (y == 0).any()), ("left", (x == 0).any()), ("bottom", (y == ny - 1).any()),
                                      ("right", (x == nx - 1).any())) if at]
            assert p["border"] == border and p["weight"] == 0.5 ** len(border)


def garwood(n):
    return stats.chi2.ppf(0.025, 2 * n) / 2 if n else 0.0, stats.chi2.ppf(0.975, 2 * n + 2) / 2


def fay_feuer(weights, largest):
    """Fay and Feuer (1997), for a sum of weights each of which was seen once."""
    y, v = np.sum(weights), np.sum(np.square(weights))
    low = v / (2 * y) * stats.chi2.ppf(0.025, 2 * y * y / v) if y else 0.0
    y, v = y + largest, v + largest ** 2
    return low, v / (2 * y) * stats.chi2.ppf(0.975, 2 * y * y / v)


def wilson(hits, n):
    z = stats.norm.ppf(0.975)
    middle, half = (hits + z * z / 2) / (n + z * z), z / (n + z * z) * np.sqrt(hits * (n - hits) / n + z * z / 4)
    return middle - half, middle + half


def close(estimate, value, interval):
    assert estimate["value"] == pytest.approx(value, rel=1e-7)
    assert [estimate["low"], estimate["high"]] == pytest.approx(list(interval), rel=1e-6, abs=1e-12)
    assert estimate["interval"] == "counting"


def test_tables_of_one_scan(unmix, field, tmp_path):
    segments, fractions = field
    make(tmp_path / "s.npz", segments, fractions)
    got = unmix("measure", tmp_path / "s.npz", "--thickness", THICKNESS, "--height", "class 1=20")
    particles, (condition,) = got["particles"], got["conditions"]
    area = 49 * 69 * STEP ** 2 * 1e-6
    every = np.array([p["weight"] for p in particles])
    for c, row in enumerate(condition["phases"]):
        own = [p for p in particles if p["class"] == c]
        w = np.array([p["weight"] for p in own])
        assert row["counted"] == pytest.approx(w.sum()) and row["particles"] == len(own)
        assert row["cut_by_border"] == sum(p["border"] != [] for p in own) > 0
        close(row["density_per_um2"], w.sum() / area, np.array(fay_feuer(w, 1)) / area)
        volume = area * 1e-3 * (THICKNESS + (20 if c == 1 else 0))
        close(row["density_per_um3"], w.sum() / volume, np.array(fay_feuer(w, 1)) / volume)
        trials = every.sum() ** 2 / (every ** 2).sum()
        close(row["count_fraction"], w.sum() / every.sum(), wilson(w.sum() / every.sum() * trials, trials))
        sizes = np.array([p["area_px"] for p in own])
        close(row["area_fraction"], (segments[c] > 0).mean(), np.array(fay_feuer(sizes, sizes.max())) / 3500)
        content = np.array([p["volume_nm3"] for p in own]) / STEP ** 2 / THICKNESS
        close(row["volume_fraction"], fractions[c].sum() / 3500, np.array(fay_feuer(content, content.max())) / 3500)
        whole = [p for p in own if p["border"] == []]
        box = [np.ptp(np.argwhere(segments[c] == p["id"]), axis=0) + 1 for p in whole]
        fit = np.array([49 * 69 / ((49 - h) * (69 - b)) for h, b in box])
        lengths = np.array([p["length_nm"] for p in whole])
        mean = (fit * lengths).sum() / fit.sum()
        n = len(whole)
        half = stats.t.ppf(0.975, n - 1) * np.sqrt(n / (n - 1) * (fit ** 2 * (lengths - mean) ** 2).sum()) / fit.sum()
        close(row["length_nm"], mean, (mean - half, mean + half))


@pytest.mark.parametrize("count", [0, 1, 2, 7, 60, 900])
def test_counts_have_garwoods_interval(unmix, tmp_path, count):
    """Particles of one position away from the border: weights of 1."""
    segments = np.zeros((1, 70, 70))
    inner = np.argwhere(np.ones((34, 34)))[:count] * 2 + 1
    segments[0, inner[:, 0], inner[:, 1]] = np.arange(1, count + 1)
    make(tmp_path / "s.npz", segments)
    row = unmix("measure", tmp_path / "s.npz")["conditions"][0]["phases"][0]
    area = 69 ** 2 * STEP ** 2 * 1e-6
    close(row["density_per_um2"], count / area, np.array(garwood(count)) / area)


def test_several_scans_pool_and_tell_scatter(unmix, tmp_path):
    rng = np.random.default_rng(5)

    def scan(name, count):
        segments = np.zeros((1, 40, 40))
        at = rng.choice(38 * 38, count, replace=False)
        segments[0, at // 38 + 1, at % 38 + 1] = np.arange(1, count + 1)
        make(tmp_path / name, segments)
        return tmp_path / name

    alike = [f"alike={scan(f'a{i}.npz', n)}" for i, n in enumerate((20, 26, 23))]
    apart = [f"apart={scan(f'b{i}.npz', n)}" for i, n in enumerate((5, 60, 20))]
    got = unmix("measure", *alike, *apart)
    area = 39 ** 2 * STEP ** 2 * 1e-6
    a, b = (c["phases"][0]["density_per_um2"] for c in got["conditions"])
    close(a, 69 / (3 * area), np.array(garwood(69)) / (3 * area))
    n = np.array([5, 60, 20.0])
    half = stats.t.ppf(0.975, 2) * n.std(ddof=1) / np.sqrt(3) / area
    assert b["interval"] == "scatter" and b["value"] == pytest.approx(85 / 3 / area)
    assert [b["low"], b["high"]] == pytest.approx([max(0, 85 / 3 / area - half), 85 / 3 / area + half], rel=1e-6)
    assert [c["condition"] for c in got["conditions"]] == ["alike", "apart"]
    assert [s["condition"] for s in got["scans"]] == ["alike"] * 3 + ["apart"] * 3


def test_the_border_rule_is_unbiased(unmix, tmp_path):
    """Poisson fields of rectangles that reach over the border: the mean density is that of their middles."""
    rng = np.random.default_rng(8)
    expected, rows = 30, []
    for i in range(60):
        segments = np.zeros((1, 44, 52))
        number = 0
        reach = 12
        density = expected / (43 * 51)
        for _ in range(rng.poisson(density * (44 + 2 * reach) * (52 + 2 * reach))):
            y, x = rng.integers(-reach, 44 + reach), rng.integers(-reach, 52 + reach)
            h, w = rng.integers(1, 9, 2)
            part = np.s_[0, max(0, y):max(0, y + h), max(0, x):max(0, x + w)]
            if segments[part].size:
                number += 1
                segments[part] = number  # later ones lie on top: some vanish, so that only the mean weight is looked at
        make(tmp_path / f"{i}.npz", segments)
        rows.append(f"c={tmp_path / f'{i}.npz'}")
    # Without hidden ones: give every particle a class of its own would be exact; here few are hidden, and are counted.
    got = unmix("measure", *rows)
    counted = np.array([s["phases"][0]["counted"] for s in got["scans"]])
    error = counted.std(ddof=1) / np.sqrt(len(counted))
    assert counted.mean() == pytest.approx(expected, abs=4 * error + 1.5)
    shown = np.array([s["phases"][0]["particles"] for s in got["scans"]])
    assert shown.mean() > expected + 4 * error  # what plain counting would give


def test_names_conditions_and_files(unmix, field, tmp_path):
    segments, fractions = field
    three = np.concatenate([segments, np.where(np.arange(70) < 30, segments.max() + 1, 0) * np.ones((1, 50, 1))])
    names = [{"component": 1, "verdict": "phase", "phase": "T1"}, {"component": 0, "verdict": "phase", "phase": "T1"},
             {"component": 2, "verdict": "amorphous"}]
    make(tmp_path / "a.npz", three, identification=names)
    make(tmp_path / "b.npz", segments, fractions)
    got = unmix("measure", f"as quenched={tmp_path / 'a.npz'}", f"12 h={tmp_path / 'b.npz'}", "-o", tmp_path / "out",
                "-o", tmp_path / "one.json")
    assert [p["name"] for p in got["phases"]] == ["T1", "class 0", "class 1"]
    assert got["left_out"] == ["class 2: amorphous"]
    first = got["conditions"][0]["phases"]
    assert first[0]["particles"] == int(segments.max()) and first[1]["particles"] == 0
    assert first[0]["area_fraction"]["value"] == pytest.approx((segments > 0).any(axis=0).mean())
    assert first[0]["density_per_um3"]["value"] is None and first[1]["density_per_um2"]["value"] == 0
    assert json.loads((tmp_path / "one.json").read_text())["conditions"] == got["conditions"]
    with open(tmp_path / "out" / "particles.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(got["particles"])
    assert float(rows[3]["length_nm"]) == pytest.approx(got["particles"][3]["length_nm"], rel=1e-6)
    with open(tmp_path / "out" / "conditions.csv", newline="") as file:
        assert float(list(csv.DictReader(file))[0]["density_per_um2_low95"]) == pytest.approx(
            first[0]["density_per_um2"]["low"], rel=1e-6)
    page = (tmp_path / "out" / "measure.html").read_text()
    assert "T1" in page and "From condition to condition" in page and "crystals above each other" in page


def test_thickness_by_map_and_log_ratio(unmix, field, tmp_path):
    segments, fractions = field
    make(tmp_path / "s.npz", segments, fractions)
    rng = np.random.default_rng(1)
    thickness = rng.uniform(40, 90, segments.shape[1:])
    np.save(tmp_path / "t.npy", thickness)
    zero = rng.uniform(5, 9, thickness.shape)
    np.save(tmp_path / "zero.npy", zero)
    np.save(tmp_path / "all.npy", zero * np.exp(thickness / 120))
    by_map = unmix("measure", tmp_path / "s.npz", "--thickness", tmp_path / "t.npy")
    by_ratio = unmix("measure", tmp_path / "s.npz", "--log-ratio", f"{tmp_path / 'zero.npy'},{tmp_path / 'all.npy'}",
                     "--mean-free-path", 120)
    row = by_map["conditions"][0]["phases"][1]
    assert row["thickness_nm"] == pytest.approx(thickness.mean())
    assert row["volume_fraction"]["value"] == pytest.approx((fractions[1] * thickness).sum() / thickness.sum())
    other = by_ratio["conditions"][0]["phases"][1]
    for key in ("density_per_um3", "volume_fraction"):
        assert other[key]["value"] == pytest.approx(row[key]["value"], rel=1e-9)


def test_excluded_positions(unmix, field, tmp_path):
    segments, _ = field
    mask = np.zeros(segments.shape[1:])
    mask[20:30, 30:45] = 1
    make(tmp_path / "s.npz", segments, mask=mask)
    got = unmix("measure", tmp_path / "s.npz")
    row = got["conditions"][0]["phases"][0]
    assert row["area_fraction"]["value"] == pytest.approx((segments[0][mask == 0] > 0).mean())
    assert row["area_um2"] == pytest.approx(49 * 69 * STEP ** 2 * 1e-6 * (mask == 0).mean())
    beside = ndimage.binary_dilation(mask) & (mask == 0)
    flagged = {p["id"] for p in got["particles"] if "excluded" in p["border"]}
    assert flagged == {int(i) for i in np.unique(segments[:, beside]) if i}
