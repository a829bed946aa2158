"""A phase that the fit has no component for is told by the place where the residual stands out."""
import numpy
import pytest

SIZE, SIDE = 64, 32


def planted(positions_wide, seed):
    """Two states in halves, and a third in a square: (scan, first row and column of the square)."""
    rng = numpy.random.default_rng([seed, 77])
    y, x = numpy.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    patterns = []
    for turn in (0.2, 0.9, 1.6):
        wave = numpy.cos((x * numpy.cos(turn) + y * numpy.sin(turn)) * 0.9) + 1.02
        patterns.append(wave * numpy.exp(-(x**2 + y**2) / 200))
    patterns = numpy.array([one / one.sum() for one in patterns]).reshape(3, -1)
    share = numpy.zeros((3, SIZE, SIZE))
    share[0] = numpy.linspace(0, 1, SIZE)[:, None]
    share[1] = 1 - share[0]
    at = rng.integers(4, SIZE - 4 - positions_wide, 2)
    square = (slice(at[0], at[0] + positions_wide), slice(at[1], at[1] + positions_wide))
    share[:, square[0], square[1]] = numpy.array([0, 0, 1])[:, None, None]
    scan = rng.poisson(1000 * share.reshape(3, -1).T @ patterns).astype("u1")
    return scan.reshape(SIZE, SIZE, SIDE, SIDE), at


@pytest.mark.parametrize("wide", [2, 4])  # 0.1 % and 0.4 % of the positions
def test_a_missing_component_is_told_and_where(unmix, tmp_path, wide):
    scan, at = planted(wide, wide)
    numpy.save(tmp_path / "scan.npy", scan)
    short = unmix("nmf", tmp_path / "scan.npy", "-k", 2, "-o", tmp_path / "two.npz", "--no-report")
    excess = short["localised_excess"]
    assert at[0] - 1 <= excess["y"] <= at[0] + wide and at[1] - 1 <= excess["x"] <= at[1] + wide
    assert excess["positions"] <= (wide + 2) ** 2 and excess["sigmas"] > 10
    said = unmix.run("nmf", tmp_path / "scan.npy", "-k", 2, "-o", tmp_path / "two.npz", "--no-report", "--force").stdout
    assert f"most at y {excess['y']}, x {excess['x']}" in said and "try -k 3" in said
    enough = unmix("nmf", tmp_path / "scan.npy", "-k", 3, "-o", tmp_path / "three.npz", "--no-report")
    assert "localised_excess" not in enough


def narrow():
    """Two states along a strip of 8 x 5,000 positions, too narrow for squares of the binned copy, and a third in 3 x 3 of
    them: (scan, its pattern). A sample of a twentieth misses it."""
    rng = numpy.random.default_rng([1, 78])
    y, x = numpy.mgrid[:16, :16] - 7.5
    patterns = []
    for turn in (0.2, 0.9, 1.6):
        wave = numpy.cos((x * numpy.cos(turn) + y * numpy.sin(turn)) * 1.3) + 1.02
        patterns.append(wave * numpy.exp(-(x**2 + y**2) / 60))
    patterns = numpy.array([one / one.sum() for one in patterns]).reshape(3, -1)
    share = numpy.zeros((3, 8, 5000))
    share[0] = 0.5 + 0.5 * numpy.sin(numpy.arange(5000) / 400)
    share[1] = 1 - share[0]
    share[:, 1:4, 2629:2632] = numpy.array([0, 0, 1])[:, None, None]
    scan = rng.poisson(2000 * share.reshape(3, -1).T @ patterns).astype("u1")
    return scan.reshape(8, 5000, 16, 16), patterns[2]


def test_a_component_goes_to_the_place_that_stands_out(unmix, tmp_path):
    """With the looser stop of long scans the fit ends before it has the third state (78 standard deviations at its place)."""
    scan, rare = narrow()
    numpy.save(tmp_path / "scan.npy", scan)
    out = tmp_path / "three.npz"
    told = unmix("nmf", tmp_path / "scan.npy", "-k", 3, "--stop", "floor", "-o", out, "--no-report")
    assert "went there" in told["more_reads"] and "localised_excess" not in told
    with numpy.load(out) as result:
        h = result["factors"].T
    cosines = h @ rare / numpy.linalg.norm(h, axis=1) / numpy.linalg.norm(rare)
    assert cosines.max() > 0.9  # 0.81 where it ended before
