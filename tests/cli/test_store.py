"""unmix convert, prep and image against NumPy."""
import json
import signal
import subprocess

import numpy as np
import pytest


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    return rng.poisson(60, size=(7, 9, 12, 10)).astype("u2")


@pytest.fixture
def scan(tmp_path, data):
    path = tmp_path / "scan.npy"
    np.save(path, data)
    return path


@pytest.mark.parametrize("threads", [1, 3])
def test_every_format_holds_the_same_values(unmix, scan, data, tmp_path, threads):
    hspy = tmp_path / "a.hspy"
    back = tmp_path / "b.npy"
    npz = tmp_path / "c.npz"
    unmix("convert", scan, hspy, "--threads", threads)
    unmix("convert", hspy, back, "--threads", threads)
    unmix("convert", hspy, npz)
    assert np.array_equal(np.load(back), data) and np.load(back).dtype == data.dtype
    assert np.array_equal(np.load(npz)["data"], data)


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "blosc", "bitshuffle"])
def test_compressions_give_the_data_back(unmix, scan, data, tmp_path, codec):
    hspy = tmp_path / "a.hspy"
    back = tmp_path / "b.npy"
    unmix("convert", scan, hspy, "--compression", codec)
    unmix("convert", hspy, back)
    assert np.array_equal(np.load(back), data)
    assert "for .hspy" in unmix.fails("convert", scan, tmp_path / "c.npy", "--compression", codec, status=2)


@pytest.mark.parametrize("name", ["a.blo", "a.npy", "a.hspy"])
def test_writers_leave_the_same_bytes_for_any_threads(unmix, tmp_path, name):
    big = tmp_path / "big.npy"
    np.save(big, np.random.default_rng(0).poisson(2, size=(40, 110, 32, 32)).astype("u1"))  # chunks of 1 MB
    kept = []
    for threads in (1, 2, 3):
        unmix("prep", big, "-o", tmp_path / name, "--crop-scan", "1:40,0:110", "--threads", threads, "--force")
        kept.append((tmp_path / name).read_bytes())
    assert kept[0] == kept[1] == kept[2]
    unmix("convert", tmp_path / name, tmp_path / "back.npy", "--force")
    assert np.array_equal(np.load(tmp_path / "back.npy"), np.load(big)[1:])


def test_a_blockfile_is_refused_what_it_cannot_hold(unmix, scan, data, tmp_path):
    out = tmp_path / "a.blo"
    assert "--dtype u8" in unmix.fails("convert", scan, out)
    assert "square" in unmix.fails("convert", scan, out, "--dtype", "u8")
    assert not list(tmp_path.glob("a.blo*"))
    unmix("convert", scan, out, "--dtype", "u8", "--crop-signal", "0:10,0:10")
    unmix("convert", out, tmp_path / "b.npy")
    assert np.array_equal(np.load(tmp_path / "b.npy"), np.minimum(data[:, :, :10, :10], 255))


def test_a_reader_who_goes_leaves_the_output_whole(unmix, scan, data, tmp_path):
    out = tmp_path / "a.npy"
    work = subprocess.Popen([unmix.path, "convert", scan, out, "--progress", "json"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    work.stderr.close()
    assert work.wait(60) == 0
    assert np.array_equal(np.load(out), data) and not list(tmp_path.glob("*.part"))
    info = subprocess.Popen([unmix.path, "info", scan], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    info.stdout.close()
    assert info.wait(60) == -signal.SIGPIPE


def test_the_input_is_never_the_output(unmix, scan):
    before = scan.read_bytes()
    assert "is the input" in unmix.fails("prep", scan, "-o", scan, "--bin-signal", 2, "--force", status=2)
    assert "is the input" in unmix.fails("convert", scan, scan, "--force", status=2)
    assert scan.read_bytes() == before


def test_excluded_positions_do_not_hold_the_scan_in_memory(unmix, tmp_path):
    """A chunk waits for all of its positions, and here half of every chunk is excluded."""
    mask = np.zeros((40, 48), bool)
    mask[:, ::2] = True
    np.save(tmp_path / "mask.npy", mask)
    scan = np.random.default_rng(5).poisson(1, (40, 48, 128, 128)).astype("u1")
    np.save(tmp_path / "scan.npy", scan)
    unmix("prep", tmp_path / "scan.npy", "-o", tmp_path / "a.hspy", "--navigation-mask", tmp_path / "mask.npy",
          "--memory", "24M")
    unmix("convert", tmp_path / "a.hspy", tmp_path / "b.npy")
    scan[mask] = 0
    assert np.array_equal(np.load(tmp_path / "b.npy"), scan)


@pytest.mark.parametrize("dtype", ["f8", "u2"])
def test_missing_positions_are_stored_as_zero(unmix, tmp_path, dtype):
    values = np.random.default_rng(1).integers(1, 99, (4, 5, 3, 3)).astype(dtype)
    whole = tmp_path / "whole.npy"
    np.save(whole, values)
    short = tmp_path / "short.npy"
    short.write_bytes(whole.read_bytes()[: -7 * 9 * values.itemsize])
    values.reshape(20, 9)[13:] = 0
    for name in ("a.npy", "a.hspy"):
        unmix("convert", short, tmp_path / name, "--allow-short")
    unmix("convert", tmp_path / "a.hspy", tmp_path / "b.npy")
    for name in ("a.npy", "b.npy"):
        assert np.array_equal(np.load(tmp_path / name), values)


def test_tiff_stack(unmix, scan, data, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    unmix("convert", scan, tmp_path / "a.tif")
    stack = tifffile.imread(tmp_path / "a.tif")
    assert stack.dtype == np.float32
    assert np.array_equal(stack.reshape(data.shape), data)


LIMITS = {t: np.iinfo(t) for t in ("u1", "u2", "u4", "i1", "i2", "i4")}


@pytest.mark.parametrize("source", ["u2", "i2", "u4", "i4", "f4", "f8"])
@pytest.mark.parametrize("target", ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"])
def test_types_saturate_and_never_wrap(unmix, tmp_path, source, target):
    values = np.array([0, 1, 2.4, 2.6, 127, 128, 255, 256, 32767, 32768, 65535, 65536, -1, -129, -40000,
                       2147483647, 2147483648, 4294967295, 4294967296, 3e9, -3e9, 1e30, -1e30, 7])
    if source[0] != "f":
        info = np.iinfo(source)
        values = np.clip(np.rint(values), info.min, info.max)
    data = values.astype(source).reshape(2, 2, 2, 3)
    path, out = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(path, data)
    made = unmix("convert", path, out, "--dtype", target.replace("f", "f"), "-q")
    exact = data.astype("f8")
    if target[0] == "f":
        expected, clipped = data.astype(target), 0
    else:
        low, high = LIMITS[target].min, LIMITS[target].max
        rounded = np.rint(exact)
        expected = np.clip(rounded, low, high).astype(target)
        clipped = int(((rounded < low) | (rounded > high)).sum())
    assert np.array_equal(np.load(out), expected)
    assert made["clipped"] == clipped
    if clipped:
        assert f"{clipped} values lay outside" in unmix.run("convert", path, out, "-f", "--dtype", target).stderr


def test_not_a_number_in_integers_is_counted(unmix, tmp_path):
    data = np.ones((1, 2, 2, 2), "f4")
    data[0, 1, 0, 1] = np.nan
    np.save(tmp_path / "a.npy", data)
    made = unmix("convert", tmp_path / "a.npy", tmp_path / "b.npy", "--dtype", "u8", "-q")
    assert made["not_a_number"] == 1
    assert np.load(tmp_path / "b.npy").sum() == 7


def test_crop_and_bin_on_the_way(unmix, scan, data, tmp_path):
    out = tmp_path / "b.npy"
    made = unmix("convert", scan, out, "--crop-scan", "1:7,2:8", "--crop-signal", "0:12,1:9", "--bin-scan", 2,
                 "--bin-signal", 4)
    expected = data[1:7, 2:8, :, 1:9].astype("u4").reshape(3, 2, 3, 2, 3, 4, 2, 4).sum((1, 3, 5, 7))
    assert made["shape"] == [3, 3, 3, 2]
    assert np.array_equal(np.load(out), expected)


def test_prep_writes_what_it_learned_and_its_masks(unmix, scan, data, tmp_path):
    out = tmp_path / "p.npy"
    made = unmix("prep", scan, "-o", out, "--mask-disc", "5,5,2", "--report", tmp_path / "learned.json",
                 "--save-recipe", tmp_path / "recipe.ini")
    mask = np.load(made["signal_mask"])
    y, x = np.mgrid[:12, :10]
    assert np.array_equal(mask != 0, np.hypot(y - 5, x - 5) < 2)
    assert json.loads((tmp_path / "learned.json").read_text()) == made["learned"]
    again = unmix("prep", scan, "-o", tmp_path / "q.npy", "--recipe", tmp_path / "recipe.ini")
    assert again["recipe"] == made["recipe"]
    assert np.array_equal(np.load(tmp_path / "q.npy"), np.load(out))
    assert np.array_equal(np.load(out)[..., mask == 0], data[..., mask == 0])


def test_an_option_wins_over_the_recipe_file(unmix, scan, tmp_path):
    (tmp_path / "r.ini").write_text("[prep]\nbin-signal = 2\n")
    made = unmix("prep", scan, "-o", tmp_path / "p.npy", "--recipe", tmp_path / "r.ini", "--bin-signal", "5")
    assert made["shape"] == [7, 9, 2, 2]
    (tmp_path / "r.ini").write_text("[prep]\nbin-sgnal = 2\n")
    assert "bin-sgnal" in unmix.fails("prep", scan, "-o", tmp_path / "q.npy", "--recipe", tmp_path / "r.ini",
                                      status=2)


def test_images_equal_numpy(unmix, scan, data, tmp_path):
    folder = tmp_path / "pictures"
    made = unmix("image", scan, "-o", folder, "--aperture", "spot:disc:5,4,2.5", "-a", "box:rect:5,4,1,2")
    exact = data.astype("f8")
    assert made["sum"] == int(data.sum()) and isinstance(made["sum"], int)
    assert made["max"] == data.max() and made["min"] == data.min()
    assert made["mean"] == pytest.approx(exact.mean(), rel=1e-12)
    saved = np.load(folder / "images.npz")
    y, x = np.mgrid[:12, :10]
    disc = np.hypot(y - 5, x - 4) < 2.5
    box = (abs(y - 5) <= 1) & (abs(x - 4) <= 2)
    for name, expected in {
            "sum_pattern": exact.sum((0, 1)), "mean_pattern": exact.mean((0, 1)),
            "max_pattern": exact.max((0, 1)), "variance_pattern": exact.var((0, 1)),
            "sum_map": exact.sum((2, 3)), "virtual_spot": exact[..., disc].sum(-1),
            "virtual_box": exact[..., box].sum(-1),
            "center_of_mass_y": (exact * y).sum((2, 3)) / exact.sum((2, 3)),
            "center_of_mass_x": (exact * x).sum((2, 3)) / exact.sum((2, 3))}.items():
        assert np.allclose(saved[name], expected, rtol=1e-9, atol=0), name
        assert (folder / f"{name}.tif").is_file() and (folder / f"{name}.png").is_file()
    assert set(made["files"]) == {str(p) for p in folder.iterdir()}
    assert "not empty" in unmix.fails("image", scan, "-o", folder)
    assert "two are named" in unmix.fails("image", scan, "-o", tmp_path / "x", "-a", "a:disc:1,1,1", "-a",
                                          "a:disc:2,2,1", status=2)


def test_info_keys(unmix, scan):
    made = unmix("info", scan, "--bin-signal", 2)
    assert {"path", "format", "shape", "dtype", "axes", "metadata"} <= set(made)
    assert made["shape"] == [7, 9, 12, 10] and made["dtype"] == "uint16" and made["format"] == "npy"
    assert [a["size"] for a in made["axes"]] == made["shape"]
    assert [a["navigate"] for a in made["axes"]] == [True, True, False, False]
    assert made["prepared"]["shape"] == [7, 9, 6, 5]
