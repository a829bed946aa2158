"""unmix segment on simulated crystals whose places are known: what it finds, and that its output is what it says."""
import json

import numpy
import pytest


def spots(rng, side, count, beam):
    """A beam and `count` reflections on a smooth background, unit sum."""
    y, x = numpy.mgrid[:side, :side]
    middle = side // 2
    image = 40 * numpy.exp(-numpy.hypot(y - middle, x - middle) / 6) + 0.5
    image[numpy.hypot(y - middle, x - middle) < 1.6] += beam
    for _ in range(count):
        r, turn = rng.uniform(6, middle - 3), rng.uniform(0, 2 * numpy.pi)
        image[numpy.hypot(y - middle - r * numpy.sin(turn), x - middle - r * numpy.cos(turn)) < 1.6] += rng.uniform(30, 90)
    return (image / image.sum()).ravel()


def discs(shape, places):
    y, x = numpy.mgrid[:shape[0], :shape[1]]
    return sum((numpy.hypot(y - cy, x - cx) < r) * 1.0 for cy, cx, r in places)


PLACES = [[(12, 12, 7), (12, 40, 7)], [(18, 18, 8)], [(36, 14, 7), (36, 25, 7)]]  # two apart; one above another; two that touch
SHAPE = (48, 56)


@pytest.fixture(scope="module")
def scan(tmp_path_factory, unmix):
    """Film everywhere, three kinds of crystal; the first in two components of different thickness fringes."""
    folder = tmp_path_factory.mktemp("segment")
    rng = numpy.random.default_rng(5)
    film = spots(rng, 48, 0, 900)
    kinds = [spots(rng, 48, 7, 300) for _ in PLACES]
    maps = [discs(SHAPE, places) for places in PLACES]
    counts = 2500 * (1 - 0.3 * sum(maps).clip(0, 2))[..., None] * film
    for kind, where in zip(kinds, maps):
        counts = counts + 1500 * where[..., None] * kind
    numpy.save(folder / "scan.npy", rng.poisson(counts).astype("u2").reshape(*SHAPE, 48, 48))
    unmix("nmf", folder / "scan.npy", "-k", 4, "-o", folder / "nmf.npz", "--no-report")
    unmix("segment", folder / "nmf.npz", "-o", folder / "out.npz", "--no-report")
    return folder


def load(path):
    with numpy.load(path, allow_pickle=True) as file:
        return {name: file[name] for name in file.files}


def test_every_crystal_is_one_particle_where_it_is(scan):
    out = load(scan / "out.npz")
    told = json.loads(str(out["provenance"]))["segmentation"]
    segments = out["segments"]
    assert segments.shape == (3, *SHAPE) and told["particles"] == 5 and len(told["dropped"]) == 1
    assert "no reflections" in told["dropped"][0]["reason"]
    found = [segments == i for i in range(1, 6)]
    for places in PLACES:
        for place in places:
            true = discs(SHAPE, [place]) > 0
            best = max((numpy.sum(true & f.any(0)) / numpy.sum(true | f.any(0)) for f in found))
            assert best > 0.75, place  # outlines within a position: (7/8)^2


def test_the_output_is_what_it_says(scan):
    source, out = load(scan / "nmf.npz"), load(scan / "out.npz")
    segments, fractions = out["segments"], out["fractions"]
    ids = numpy.unique(segments[segments > 0])
    assert numpy.array_equal(ids, numpy.arange(1, ids.size + 1))
    areas = [[numpy.sum(segments[c] == i) for i in numpy.unique(segments[c]) if i] for c in range(len(segments))]
    assert all(a == sorted(a, reverse=True) for a in areas)
    assert [i for c in segments for i in numpy.unique(c) if i] == list(ids)
    assert numpy.all(fractions[segments == 0] == 0) and numpy.all(fractions[segments > 0] > 0)
    assert fractions.sum(0).max() <= 1 + 1e-12 and (numpy.count_nonzero(segments, axis=0) == 2).any()
    assert out["factors"].sum(0) == pytest.approx(1, rel=1e-5)
    merged = json.loads(str(out["provenance"]))["segmentation"]["merged"]
    counts = source["loadings"] * source["factors"].sum(0)
    for c, members in enumerate(merged):
        assert out["loadings"][:, c] == pytest.approx(counts[:, members].sum(1), rel=1e-4, abs=1e-3)
    assert set(source) - {"component_contribution"} <= set(out)


def test_two_parts_of_one_crystal_are_one_class(scan, unmix, tmp_path):
    """A component split in two, as by thickness fringes, is put together again; others stay apart."""
    source = load(scan / "nmf.npz")
    component = json.loads(str(load(scan / "out.npz")["provenance"]))["segmentation"]["merged"][0][0]
    share = numpy.tile(0.5 + 0.5 * numpy.sin(numpy.arange(SHAPE[1]) * 2.1), SHAPE[0]).astype("f4")
    uneven = numpy.random.default_rng(0).uniform(0.5, 1.5, source["factors"].shape[0]).astype("f4")
    source["factors"] = numpy.column_stack([source["factors"], source["factors"][:, component] * uneven])
    loading = source["loadings"][:, component].copy()
    source["loadings"] = numpy.column_stack([source["loadings"], loading * share])
    source["loadings"][:, component] = loading * (1 - share)
    about = json.loads(bytes(source["unmix_model"]))
    about["k"] = 5
    about["arrays"].remove("component_contribution")
    source["unmix_model"] = numpy.frombuffer(json.dumps(about).encode(), "u1")
    numpy.savez(tmp_path / "five.npz", **source)
    out = unmix("segment", tmp_path / "five.npz", "-o", tmp_path / "out.npz", "--no-report")
    assert out["k"] == 3 and out["particles"] == 5
    assert [component, 4] in [row["components"] for row in out["classes"]]


def test_another_scan_follows_the_classes_of_the_first(scan, unmix, tmp_path):
    source = load(scan / "nmf.npz")
    source["loadings"] = source["loadings"].reshape(*SHAPE, 4).copy()
    source["loadings"][:30] = source["loadings"][40, 50]  # the first kinds are not there
    source["loadings"] = source["loadings"].reshape(-1, 4)
    numpy.savez(tmp_path / "other.npz", **source)
    out = unmix("segment", tmp_path / "other.npz", "--like", scan / "out.npz", "-o", tmp_path / "o.npz", "--no-report")
    first, other = load(scan / "out.npz"), load(tmp_path / "o.npz")
    assert out["k"] == 3 and numpy.array_equal(first["factors"], other["factors"])
    a, b = (json.loads(str(x["provenance"]))["segmentation"] for x in (first, other))
    assert (a["merged"], a["levels_counts"], a["beam_px"]) == (b["merged"], b["levels_counts"], b["beam_px"])
    there = [c for c in range(3) if (first["segments"][c, 30:] > 0).any()]
    assert [c for c in range(3) if (other["segments"][c] > 0).any()] == there and 0 < len(there) < 3


def test_what_cannot_be_segmented_is_told(scan, unmix, tmp_path):
    source = load(scan / "nmf.npz")
    source["loadings"] = source["loadings"].copy()
    source["loadings"][7, 1] = -1
    numpy.savez(tmp_path / "negative.npz", **source)
    assert "not negative" in unmix.fails("segment", tmp_path / "negative.npz", "-o", tmp_path / "a.npz")
    film = load(scan / "nmf.npz")
    film["factors"] = numpy.ones_like(film["factors"])
    numpy.savez(tmp_path / "film.npz", **film)
    assert "nothing to segment" in unmix.fails("segment", tmp_path / "film.npz", "-o", tmp_path / "a.npz")
    assert "segmented" in unmix.fails("segment", scan / "nmf.npz", "--like", scan / "nmf.npz", "-o", tmp_path / "a.npz")
    assert "--beam" in unmix.fails("segment", scan / "nmf.npz", "--beam", "4", "-o", tmp_path / "a.npz", status=2)
    assert not (tmp_path / "a.npz").exists()


# ---- against the truth of a specimen ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def cubes(tmp_path_factory, unmix):
    """Ten overlapping cubes with precession; seed 1 is one that defaults were developed on."""
    folder = tmp_path_factory.mktemp("cubes")
    unmix("simulate", "nanoparticles", "-o", folder / "scan.hspy", "--truth", folder / "truth.npz", "--seed", 1, "--set",
          "precession_mrad=20")
    unmix("nmf", folder / "scan.hspy", "-o", folder / "nmf.npz", "--no-report")
    unmix("segment", folder / "nmf.npz", "-o", folder / "out.npz", "--no-report")
    return folder


def true_crystals(truth, step, least):
    """Positions of each particle: those with enough of its state that are nearest to its rectangle (docs/scores.md)."""
    fractions, table = truth["fractions"], truth["particles"]
    y, x = numpy.mgrid[:fractions.shape[0], :fractions.shape[1]]
    found = []
    for state in numpy.unique(table[:, 0]).astype(int):
        rows = table[table[:, 0] == state]
        distances = []
        for _, cy, cx, length, width, _, angle, *_ in rows:
            c, s = numpy.cos(numpy.radians(angle)), numpy.sin(numpy.radians(angle))
            dy, dx = (y - cy) * step, (x - cx) * step
            along = numpy.maximum(0, abs(dx * c - dy * s) - length / 2)
            across = numpy.maximum(0, abs(dx * s + dy * c) - width / 2)
            distances.append(along**2 + across**2)
        owner = numpy.argmin(distances, 0)
        found += [(state, (owner == i) & (fractions[..., state] >= least)) for i in range(len(rows))]
    return found


def test_the_score_of_crystals_is_its_definition(cubes, unmix):
    truth, out = load(cubes / "truth.npz"), load(cubes / "out.npz")
    score = unmix("score", cubes / "out.npz", cubes / "truth.npz")
    true = true_crystals(truth, 6.0, 0.1)
    assert all(where.any() for _, where in true)  # none is faint
    ids = [i for i in numpy.unique(out["segments"]) if i > 0]
    pairs = []
    for i, (_, a) in enumerate(true):
        for j in ids:
            b = (out["segments"] == j).any(0)
            pairs.append((-numpy.sum(a & b) / numpy.sum(a | b), i, j))
    taken, hits = set(), []
    for iou, i, j in sorted(pairs):
        if -iou >= 0.25 and ("t", i) not in taken and ("f", j) not in taken:
            taken |= {("t", i), ("f", j)}
            hits.append((-iou, i, j))
    crystals = score["crystals"]
    assert (crystals["particles"], crystals["found"], crystals["hits"]) == (len(true), len(ids), len(hits))
    assert crystals["iou"] == pytest.approx(numpy.mean([h[0] for h in hits]))
    assert crystals["f1"] == pytest.approx(2 * len(hits) / (len(true) + len(ids)))
    of = [n["counted_for"] for n in score["nearest"]]
    right = sum(of[numpy.argmax((out["segments"] == j).any((1, 2)))] == true[i][0] for _, i, j in hits)
    assert crystals["right_state"] == right
    assert score["by_state"]["particles"]["regions"] == len(ids)


def test_overlapping_cubes_are_found(cubes, unmix):
    crystals = unmix("score", cubes / "out.npz", cubes / "truth.npz")["crystals"]
    assert crystals["f1"] >= 0.9 and crystals["iou"] > 0.7
    out = load(cubes / "out.npz")
    assert (numpy.count_nonzero(out["segments"], axis=0) >= 2).sum() > 100  # overlap is kept
    assert unmix("score", cubes / "nmf.npz", cubes / "truth.npz")["crystals"] is None


# ---- from virtual dark fields -----------------------------------------------------------------------------------------

def test_dark_fields_find_the_same_crystals(scan, unmix, tmp_path):
    done = unmix("segment", scan / "scan.npy", "--least-vectors", 3, "-o", tmp_path / "dark.npz", "--no-report")
    assert (done["route"], done["k"], done["particles"]) == ("vdf", 3, 5)
    out = load(tmp_path / "dark.npz")
    for place in sum(PLACES, []):
        true = discs(SHAPE, [place]) > 0
        assert max(numpy.sum(true & f) / numpy.sum(true | f)
                   for f in ((out["segments"] == i).any(0) for i in range(1, 6))) > 0.7, place
    assert out["fractions"].sum(0).max() <= 1 + 1e-12 and numpy.all(out["fractions"][out["segments"] == 0] == 0)
    assert out["factors"].sum(0) == pytest.approx(1, rel=1e-5)


def test_dark_fields_lie_on_reflections_and_take_the_background_off(scan, unmix, tmp_path):
    """Loadings of a class are the counts in discs about its vectors, less those of the ring around each."""
    unmix("segment", scan / "scan.npy", "--least-vectors", 3, "-o", tmp_path / "dark.npz", "--no-report")
    out, data = load(tmp_path / "dark.npz"), numpy.load(scan / "scan.npy").reshape(-1, 48 * 48).astype(float)
    vectors = numpy.array(json.loads(str(out["provenance"]))["segmentation"]["vectors_px"])
    y, x = numpy.mgrid[:48, :48]
    largest = data.max(0).reshape(48, 48)
    net = []
    for vy, vx in vectors:
        r = numpy.hypot(y - vy, x - vx).ravel()
        spot, ring = r < 2, (r >= 2.5) & (r < 4.5)
        net.append(numpy.maximum(0, data[:, spot].sum(1) - spot.sum() / ring.sum() * data[:, ring].sum(1)))
        assert largest[int(round(vy)), int(round(vx))] > numpy.median(largest)
    inside = (out["segments"] > 0).reshape(len(out["segments"]), -1)
    total = numpy.array(net).sum(0)
    assert numpy.all(out["loadings"].T[inside] <= numpy.broadcast_to(total, inside.shape)[inside] * (1 + 1e-5))
    only = inside.sum(0) == 1
    assert out["loadings"].sum(1)[only].sum() > 0.8 * total[only].sum()
    assert numpy.all(out["loadings"].T[~inside] == 0)


def test_dark_fields_of_nothing_are_refused(unmix, tmp_path):
    numpy.save(tmp_path / "flat.npy", numpy.random.default_rng(0).poisson(3, (12, 12, 40, 40)).astype("u1"))
    assert "nothing to segment" in unmix.fails("segment", tmp_path / "flat.npy", "-o", tmp_path / "a.npz")
    numpy.save(tmp_path / "zero.npy", numpy.zeros((3, 4, 16, 16), "u1"))
    assert "nothing to segment" in unmix.fails("segment", tmp_path / "zero.npy", "-o", tmp_path / "a.npz")
    numpy.save(tmp_path / "one.npy", numpy.ones((1, 1, 16, 16), "u1"))
    assert "nothing to segment" in unmix.fails("segment", tmp_path / "one.npy", "-o", tmp_path / "a.npz")
