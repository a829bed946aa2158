"""Preparation steps against SciPy, scikit-image and NumPy, through `unmix prep`."""
import json

import numpy as np
import pytest

ndimage = pytest.importorskip("scipy.ndimage")
morphology = pytest.importorskip("skimage.morphology")


def pattern_scan(ny=3, nx=4, ky=48, kx=61, seed=1):
    """Discs on a falling background with counting noise; nothing is square."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ky, :kx]
    scan = np.empty((ny, nx, ky, kx), np.uint16)
    for i in range(ny):
        for j in range(nx):
            r2 = (y - ky / 2) ** 2 + (x - kx / 2) ** 2
            image = 40 * np.exp(-r2 / 300) + 300 * (r2 < 9)
            for _ in range(6):
                cy, cx = rng.uniform(4, ky - 4), rng.uniform(4, kx - 4)
                image += rng.uniform(5, 60) * (((y - cy) ** 2 + (x - cx) ** 2) < 6)
            scan[i, j] = rng.poisson(image)
    return scan


def prep(unmix, tmp_path, scan, *options):
    source, out = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(source, scan)
    report = tmp_path / "report.json"
    done = unmix.run("prep", source, "-o", out, "--report", report, "--force", *options)
    assert done.returncode == 0, done.stderr
    return np.load(out), json.loads(report.read_text())


def signal_mask(tmp_path):
    (path,) = tmp_path.glob("*signal_mask.npy")
    return np.load(path)


def test_difference_of_gaussians(unmix, tmp_path):
    scan = pattern_scan()
    got, _ = prep(unmix, tmp_path, scan, "--background", "dog:1.7,13.2")
    for index in np.ndindex(scan.shape[:2]):
        image = scan[index].astype(float)
        want = ndimage.gaussian_filter(image, 1.7) - ndimage.gaussian_filter(image, 13.2)
        np.testing.assert_allclose(got[index], np.maximum(want, 0), atol=2e-4)
    assert got.dtype == np.float32 and got.min() == 0 and got.max() < scan.max()


@pytest.mark.parametrize("height", ["0.4", "12c"])
def test_h_dome_is_scikit_images(unmix, tmp_path, height):
    scan = pattern_scan(seed=2)
    got, _ = prep(unmix, tmp_path, scan, "--background", f"h-dome:{height}")
    for index in np.ndindex(scan.shape[:2]):
        image = scan[index].astype(np.float32)
        if height.endswith("c"):
            h = np.float32(height[:-1])
        else:
            h = np.float32(height) * image.max()
        want = image - morphology.reconstruction(image - h, image, method="dilation")
        np.testing.assert_array_equal(got[index], want.astype(np.float32))


def test_h_dome_on_pure_noise(unmix, tmp_path):
    scan = np.random.default_rng(3).integers(0, 60000, (2, 2, 64, 33)).astype(np.uint16)
    got, _ = prep(unmix, tmp_path, scan, "--background", "h-dome:0.1")
    for index in np.ndindex(2, 2):
        image = scan[index].astype(np.float32)
        seed = image - np.float32(0.1) * image.max()
        want = image - morphology.reconstruction(seed, image, method="dilation").astype(np.float32)
        np.testing.assert_array_equal(got[index], want)


def test_radial_median(unmix, tmp_path):
    scan = pattern_scan(seed=4)
    cy, cx = 22.31, 31.62
    got, _ = prep(unmix, tmp_path, scan, "--background", "radial-median", "--beam-center", f"{cy},{cx}")
    y, x = np.mgrid[:scan.shape[2], :scan.shape[3]]
    ring = np.floor(np.hypot(y - cy, x - cx) + 0.5).astype(int)
    for index in np.ndindex(scan.shape[:2]):
        want = scan[index].astype(float)
        for r in range(ring.max() + 1):
            want[ring == r] -= np.median(scan[index][ring == r])
        np.testing.assert_allclose(got[index], np.maximum(want, 0), rtol=1e-6)


@pytest.mark.parametrize("text, matrix, shift", [
    ("0.69,0.99", [[0.69, 0], [0, 0.99]], (0, 0)),
    ("0.91,0.2,-0.1,1.05", [[0.91, 0.2], [-0.1, 1.05]], (0, 0)),
    ("1,0,0,1,3.25,-2.5", [[1, 0], [0, 1]], (3.25, -2.5)),
])
def test_affine(unmix, tmp_path, text, matrix, shift):
    scan = pattern_scan(seed=5)
    got, report = prep(unmix, tmp_path, scan, "--affine", text)
    mask = signal_mask(tmp_path)
    assert mask.shape == scan.shape[2:]
    middle = (np.array(scan.shape[2:]) - 1) / 2
    inverse = np.linalg.inv(matrix)
    offset = middle - inverse @ (middle + shift)
    inside = ndimage.affine_transform(np.ones(scan.shape[2:]), inverse, offset, order=1, cval=-1e9) > 0.5
    np.testing.assert_array_equal(mask == 0, inside)
    assert report["affine_pixels_from_outside"] == (~inside).sum()
    for index in np.ndindex(scan.shape[:2]):
        want = ndimage.affine_transform(scan[index].astype(float), inverse, offset, order=1)
        np.testing.assert_allclose(got[index][inside], want[inside], atol=2e-3)
        assert (got[index][~inside] == 0).all()


def moved_discs(ny, nx, ky, kx, shifts, radius=5.0, counts=None, seed=6):
    """A disc with soft edge per position, moved by shifts[y, x] from the middle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ky, :kx]
    out = np.empty((ny, nx, ky, kx), np.float32)
    for index in np.ndindex(ny, nx):
        cy, cx = np.array([(ky - 1) / 2, (kx - 1) / 2]) + shifts[index]
        image = np.clip(radius + 0.5 - np.hypot(y - cy, x - cx), 0, 1)
        image /= image.sum()
        out[index] = image if counts is None else rng.poisson(counts * image + 0.2)
    return out


@pytest.mark.parametrize("method", ["com:12.5", "cross-correlation:5,10", "cross-correlation:3,10"])
@pytest.mark.parametrize("counts, tolerance", [(None, 0.06), (3000, 0.15)])
def test_centring_finds_sub_pixel_shifts(unmix, tmp_path, method, counts, tolerance):
    rng = np.random.default_rng(7)
    shifts = rng.uniform(-4, 4, (5, 6, 2))
    scan = moved_discs(5, 6, 50, 63, shifts, counts=counts)
    got, report = prep(unmix, tmp_path, scan, "--center", method)
    y, x = np.mgrid[:50, :63]
    middle_y, middle_x = 24.5, 31.0
    near = np.hypot(y - middle_y, x - middle_x) < 11
    for index in np.ndindex(5, 6):
        image = got[index].astype(float) * near
        assert abs((image * (y - middle_y)).sum() / image.sum()) < tolerance
        assert abs((image * (x - middle_x)).sum() / image.sum()) < tolerance
        if counts is None:
            assert got[index].sum() == pytest.approx(scan[index].sum(), rel=1e-5)  # nothing is lost
    assert report["center"]["measured"] == 30
    np.testing.assert_allclose(report["center"]["mean_beam"],
                               [24.5, 31.0] + shifts.mean((0, 1)), atol=tolerance)


def test_plane_is_fitted_without_outliers_and_borders(unmix, tmp_path):
    ny, nx = 70, 9
    iy, ix = np.mgrid[:ny, :nx]
    shifts = np.stack([0.03 * (iy - 34.5) + 0.1 * (ix - 4), -0.02 * (iy - 34.5) + 0.4], -1)
    shifts[30, 3] += 5
    shifts[50, 6] -= 4
    shifts[:20, :, 0] += 1.5  # a bad border of a large scan
    scan = moved_discs(ny, nx, 40, 41, shifts, radius=4)
    _, report = prep(unmix, tmp_path, scan, "--center", "com:10,plane")
    center = report["center"]
    plane = center["plane_middle_per_row_per_column"]
    np.testing.assert_allclose(plane["y"], [19.5, 0.03, 0.1], atol=0.02)
    np.testing.assert_allclose(plane["x"], [20.4, -0.02, 0], atol=0.02)
    listed = {tuple(o["position"]) for o in center["outlier_list"]}
    assert {(30, 3), (50, 6)} <= listed
    assert center["applied"] == "plane"


def test_hot_and_dead_pixels(unmix, tmp_path):
    scan = pattern_scan(6, 6, seed=8)
    clean = scan.copy()
    hot = [(3, 50), (20, 10), (20, 11)]
    for y, x in hot:
        scan[:, :, y, x] = 4000
    scan[:, :, 25, 33] = 0  # beside the direct beam
    got, report = prep(unmix, tmp_path, scan, "--hot-pixels", "10")
    found = {tuple(p) for p in report["bad_pixels"]["list"]}
    assert set(hot) <= found and (25, 33) in found
    assert len(found) <= 6
    assert got.dtype == np.uint16  # repaired as counts
    keep = np.ones(scan.shape[2:], bool)
    for y, x in found:
        keep[y, x] = False
    np.testing.assert_array_equal(got[..., keep], clean[..., keep])
    around = [scan[..., 2, 49:52].astype(float).sum(-1), scan[..., 4, 49:52].sum(-1),
              scan[..., 3, 49].astype(float) + scan[..., 3, 51]]
    np.testing.assert_allclose(got[..., 3, 50], sum(around) / 8, atol=0.51)


def test_friedel(unmix, tmp_path):
    scan = pattern_scan(seed=9)
    got, _ = prep(unmix, tmp_path, scan, "--friedel", "--beam-center", "24.5,30")
    mask = signal_mask(tmp_path)
    ky, kx = scan.shape[2:]
    for y in range(ky):
        for x in range(kx):
            my, mx = 49 - y, 60 - x
            if 0 <= my < ky and 0 <= mx < kx:
                assert mask[y, x] == 0
                np.testing.assert_array_equal(
                    got[..., y, x], scan[..., y, x].astype(float) + scan[..., my, mx])
            else:
                assert mask[y, x] == 1


def test_everything_in_order(unmix, tmp_path):
    """Crop, affine, background, friedel, both bins, in the order of prep.h."""
    scan = pattern_scan(5, 6, 50, 64, seed=10)
    got, _ = prep(unmix, tmp_path, scan, "--crop-scan", "1:5,0:6", "--crop-signal", "1:49,2:62",
                  "--affine", "0.9,0.95", "--background", "dog:1,5", "--friedel", "--beam-center",
                  "23.5,29.5", "--bin-scan", "2", "--bin-signal", "4")
    mask = signal_mask(tmp_path)
    data = scan[1:5, :, 1:49, 2:62].astype(float)
    middle = np.array([23.5, 29.5])
    inverse = np.diag([1 / 0.9, 1 / 0.95])
    offset = middle - inverse @ middle
    bars = ndimage.affine_transform(np.ones((48, 60)), inverse, offset, order=1, cval=-1e9) < 0.5
    out = np.empty_like(data)
    for index in np.ndindex(4, 6):
        image = ndimage.affine_transform(data[index], inverse, offset, order=1)
        image[bars] = 0
        image = ndimage.gaussian_filter(image, 1) - ndimage.gaussian_filter(image, 5)
        image = np.maximum(image, 0)
        out[index] = image + image[::-1, ::-1]
    want = out.reshape(2, 2, 3, 2, 12, 4, 15, 4).sum((1, 3, 5, 7))
    excluded = (bars | bars[::-1, ::-1]).reshape(12, 4, 15, 4).any((1, 3))
    np.testing.assert_array_equal(mask != 0, excluded)
    np.testing.assert_allclose(got[..., ~excluded], want[..., ~excluded], rtol=1e-4, atol=1e-2)
    assert (got[..., excluded] == 0).all()


def test_masks_from_files_keep_their_axes(unmix, tmp_path):
    """Masks of every accepted shape; a transposed one is refused with the shapes that fit."""
    scan = pattern_scan(4, 6, 20, 30, seed=11)
    rng = np.random.default_rng(12)
    whole = rng.random((20, 30)) < 0.1
    np.save(tmp_path / "whole.npy", whole)
    prep(unmix, tmp_path, scan, "--signal-mask", tmp_path / "whole.npy", "--crop-signal", "2:18,4:28",
         "--bin-signal", "2")
    want = whole[2:18, 4:28].reshape(8, 2, 12, 2).any((1, 3))
    np.testing.assert_array_equal(signal_mask(tmp_path) != 0, want)
    np.save(tmp_path / "prepared.npy", want)
    prep(unmix, tmp_path, scan, "--signal-mask", tmp_path / "prepared.npy", "--crop-signal",
         "2:18,4:28", "--bin-signal", "2")
    np.testing.assert_array_equal(signal_mask(tmp_path) != 0, want)
    np.save(tmp_path / "turned.npy", whole.T)
    line = unmix.fails("prep", tmp_path / "in.npy", "-o", tmp_path / "o.npy", "--signal-mask",
                       tmp_path / "turned.npy")
    assert "30x20" in line and "20x30" in line
    where = rng.random((4, 6)) < 0.3
    np.save(tmp_path / "where.npy", where)
    prep(unmix, tmp_path, scan, "--navigation-mask", tmp_path / "where.npy")
    (path,) = tmp_path.glob("*navigation_mask.npy")
    np.testing.assert_array_equal(np.load(path) != 0, where)
    np.save(tmp_path / "turned.npy", where.T)
    line = unmix.fails("prep", tmp_path / "in.npy", "-o", tmp_path / "o.npy", "--navigation-mask",
                       tmp_path / "turned.npy")
    assert "6x4" in line and "4x6" in line


def test_navigation_threshold(unmix, tmp_path):
    scan = pattern_scan(6, 7, seed=13)
    scan[2, 3] //= 20
    scan[5, 0] //= 20
    for text in ("total:<0.3", "bf6:<0.3", "total:<otsu"):
        prep(unmix, tmp_path, scan, "--navigation-threshold", text)
        (path,) = tmp_path.glob("*navigation_mask.npy")
        assert set(zip(*np.nonzero(np.load(path)))) == {(2, 3), (5, 0)}


def test_automatic_discs_on_strong_reflections(unmix, tmp_path):
    y, x = np.mgrid[:96, :120]
    spots = [(48, 60, 4000), (20, 30, 300), (76, 90, 300), (48, 100, 200)]
    image = 2 + sum(a * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 8) for cy, cx, a in spots)
    scan = np.random.default_rng(14).poisson(image, (3, 4, 96, 120)).astype(np.uint16)
    _, report = prep(unmix, tmp_path, scan, "--mask-auto", "0.05")
    mask = signal_mask(tmp_path)
    for cy, cx, _ in spots:
        assert mask[cy - 5:cy + 6, cx - 5:cx + 6].all()
    assert mask.mean() < 0.2
    assert min(r for _, _, r in report["mask_auto_discs"]) >= 8


def test_same_bits_for_threads_and_memory(unmix, tmp_path):
    scan = pattern_scan(9, 11, 64, 70, seed=15)
    source = tmp_path / "in.npy"
    np.save(source, scan)
    results = []
    for number, options in enumerate((["--threads", "1"], ["--threads", "2"],
                                      ["--threads", "3", "--memory", "4M"])):
        out = tmp_path / f"out{number}.npy"
        report = tmp_path / f"report{number}.json"
        done = unmix.run("prep", source, "-o", out, "--report", report, "--hot-pixels", "10", "--center",
                         "com,plane", "--background", "dog:1.7,13.2", "--mask-beam", "6",
                         "--bin-scan", "2", "--navigation-threshold", "total:<0.5", *options)
        assert done.returncode == 0, done.stderr
        results.append((out.read_bytes(), report.read_bytes()))
    assert results[0] == results[1] == results[2]
