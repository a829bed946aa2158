"""Virtual images, sums and the centre of mass against NumPy."""

import json

import numpy as np
import pytest

NY, NX, KY, KX = 6, 9, 40, 34
BEAM = (18.4, 16.7)


def scan(dtype):
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:KY, :KX]
    beam = 4000 * np.exp(-((y - BEAM[0]) ** 2 + (x - BEAM[1]) ** 2) / 6)
    rates = beam + 2 + 30 * (np.hypot(y - 8, x - 25) < 2) * rng.random((NY, NX, 1, 1))
    return rng.poisson(rates).astype(dtype)


def disc(cy, cx, inner, outer):
    y, x = np.mgrid[:KY, :KX]
    r = np.hypot(y - cy, x - cx)
    return (r >= inner) & (r < outer)


def run(unmix, tmp_path, data, *options):
    source = tmp_path / "scan.npy"
    np.save(source, data)
    out = tmp_path / "images"
    done = unmix.run("image", source, "-o", out, "--json", "--force", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), np.load(out / "images.npz")


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i4", "f4", "f8"])
def test_sums_and_patterns(unmix, tmp_path, dtype):
    data = scan("u2") % 251 if dtype == "u1" else scan("u2")
    data = data.astype(dtype)
    facts, images = run(unmix, tmp_path, data)
    wide = data.astype("f8")
    assert facts["sum"] == wide.sum()
    assert facts["max"] == wide.max()
    assert np.array_equal(images["sum_pattern"], wide.sum((0, 1)))
    assert np.array_equal(images["max_pattern"], wide.max((0, 1)))
    assert np.array_equal(images["sum_map"], wide.sum((2, 3)))
    np.testing.assert_allclose(images["mean_pattern"], wide.mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(images["variance_pattern"], wide.var((0, 1)), rtol=1e-7, atol=1e-6)


def test_center_of_mass_and_beam(unmix, tmp_path):
    data = scan("u2")
    facts, images = run(unmix, tmp_path, data)
    wide = data.astype("f8")
    y, x = np.mgrid[:KY, :KX]
    np.testing.assert_allclose(images["center_of_mass_y"], (wide * y).sum((2, 3)) / wide.sum((2, 3)))
    np.testing.assert_allclose(images["center_of_mass_x"], (wide * x).sum((2, 3)) / wide.sum((2, 3)))
    assert np.hypot(facts["beam"][0] - BEAM[0], facts["beam"][1] - BEAM[1]) < 0.1
    for a in facts["apertures"]:
        inside = disc(a["cy"], a["cx"], a["inner_px"], a["outer_px"])
        assert np.array_equal(images["virtual_" + a["name"]], data[:, :, inside].sum(-1))


def test_apertures_leave_masked_pixels_out(unmix, tmp_path):
    data = scan("u2")
    hidden = disc(18, 17, 0, 6)
    np.save(tmp_path / "mask.npy", hidden)
    facts, images = run(unmix, tmp_path, data, "--signal-mask", tmp_path / "mask.npy",
                        "--aperture", "a:annulus:18,17,4,9", "--aperture", "b:rect:8,25,2,3")
    ring = disc(18, 17, 4, 9) & ~hidden
    assert np.array_equal(images["virtual_a"], data[:, :, ring].sum(-1))
    assert np.array_equal(images["virtual_b"], data[:, :, 6:11, 22:29].sum((2, 3)))
    assert facts["sum"] == data[:, :, ~hidden].sum()


def test_positions_left_out_are_nan(unmix, tmp_path):
    data = scan("u2")
    gone = np.zeros((NY, NX), bool)
    gone[2, 3:] = True
    np.save(tmp_path / "mask.npy", gone)
    facts, images = run(unmix, tmp_path, data, "--navigation-mask", tmp_path / "mask.npy")
    assert facts["positions"] == (~gone).sum()
    assert np.array_equal(np.isnan(images["center_of_mass_y"]), gone)
    np.testing.assert_allclose(images["mean_pattern"], data[~gone].mean(0), rtol=1e-12)
