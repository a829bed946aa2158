"""unmix info and image on the real files of ../shared/data against the table in its README: shape, type,
calibration with units, and totals."""
import re
import zipfile

import h5py
import numpy
import pytest

NM, PER_A = "nm", "1/Å"
# file: format, shape, dtype, {axis number: (scale, units)}, total or None
FILES = {
    "fpd/FPD_HDF5.hdf5": ("fpd", [16, 16, 256, 256], "uint16", {0: (5.4826, NM), 1: (5.4826, NM)}, 1304983),
    "sped-ag/SPED_Ag_labels_sum_signal.hspy": (
        "hspy", [1, 5, 112, 112], "uint32", {2: (0.0267283, PER_A), 3: (0.0267283, PER_A)},
        10111356683 + 1405621529 + 1604248949 + 45237439955 + 41158070054),
    "blo/test1.blo": (
        "blo", [3, 2, 144, 144], "uint8",
        {0: (12.8, NM), 1: (12.8, NM), 2: (0.016061676839061997, "cm"), 3: (0.016061676839061997, "cm")}, 5164570),
    "blo/test2.blo": ("blo", None, "uint8", {0: (64.0, NM), 1: (64.0, NM)}, 2952),
    "hspy/tvips_sped_2x2.hspy": (
        "hspy", [2, 2, 256, 256], "uint16", {0: (2.0, NM), 1: (2.0, NM), 2: (0.01261, PER_A), 3: (0.01261, PER_A)}, None),
    "hspy/example1_v1.0.hdf5": ("hspy", [1, 1, 1, 21], "float64", {}, 104070),
    "hspy/example1_v1.1.hdf5": ("hspy", [1, 1, 1, 21], "float64", {}, 104070),
    "hspy/example1_v1.2.hdf5": ("hspy", [1, 1, 1, 21], "float64", {}, 104070),
    "emd/py4DSTEM_size2x3x4x5.h5": (
        "emd", [2, 3, 4, 5], "float32",
        {0: (0.126796875, NM), 1: (0.126796875, NM), 2: (0.044251566616087125, PER_A), 3: (0.044251566616087125, PER_A)},
        28255.8762),
    "emd/Si100_4D.emd": (
        "emd", [11, 11, 8, 8], "float32",
        {0: (0.5, NM), 1: (0.5, NM), 2: (0.18416205, "1/nm"), 3: (0.18416205, "1/nm")}, None),
}

MERLIN = {
    "Quad_1": {1: 10331, 6: 115263, 12: 845907, 24: 778764, "1RAW": 10348},
    "Quad_9": {1: 92639, 6: 1032369, 12: 7229086, 24: 7285037, "1RAW": 92621},
    "Single_1": {1: 2398, 6: 24336, 12: 28911, 24: 29416, "1RAW": 2394},
    "Single_9": {1: 21614, 6: 217684, 12: 260753, 24: 258156, "1RAW": 21605},
}
REGIONS = {
    "001_4x2_6bit.mib": ([2, 4, 256, 256], 3623664, 63),
    "002_4x2_6bit_roi128.mib": ([2, 4, 128, 256], 3263829, None),
    "002_merlin_test_roi_sig256x128_nav4x2_hot_pixel_52x_39y.mib": ([2, 4, 128, 256], 79, None),
    "003_merlin_test_roi_sig256x64_nav4x2_hot_pixel_52x_39y.mib": ([2, 4, 64, 256], 77, None),
}


def total(unmix, path, folder, *options):
    """The total that `unmix image` prints; what it holds of negative values is taken as it is."""
    return unmix("image", path, "-o", folder / "pictures", "--force", *options)["sum"]


@pytest.mark.parametrize("name", FILES)
def test_table(unmix, shared, tmp_path, name):
    kind, shape, dtype, axes, expected = FILES[name]
    got = unmix("info", shared / name)
    assert got["format"] == kind and got["dtype"] == dtype
    assert shape is None or got["shape"] == shape
    assert [axis["size"] for axis in got["axes"]] == got["shape"]
    assert [axis["navigate"] for axis in got["axes"]] == [True, True, False, False]
    for number, (scale, units) in axes.items():
        assert got["axes"][number]["scale"] == pytest.approx(scale, rel=1e-5)
        assert got["axes"][number]["units"] == units
    assert got["metadata"]
    if expected is not None:
        rounding = 0 if isinstance(expected, int) else 5e-5  # of the table
        assert abs(total(unmix, shared / name, tmp_path) - expected) <= rounding


def test_blockfile_scan_order(unmix, shared):
    """NX is the fast axis: FORMATS has NX 2, NY 3 in the header of test1."""
    assert unmix("info", shared / "blo/test1.blo")["shape"][:2] == [3, 2]
    assert sorted(unmix("info", shared / "blo/test2.blo")["shape"][:2]) == [2, 3]


def test_every_part_of_a_file_by_its_path(unmix, shared, tmp_path):
    base = f"{shared}/emd/Si100_4D.emd:/4DSTEM_simulation/data/datacubes/CBED_array_depth000"
    sums = [total(unmix, f"{base}{i}/datacube", tmp_path) for i in (0, 1)]
    assert sum(sums) == pytest.approx(221.275704, rel=1e-6)


@pytest.mark.parametrize("name", MERLIN)
def test_merlin_depths(unmix, shared, tmp_path, name):
    with zipfile.ZipFile(shared / "mib/Merlin_Single_Quad.zip") as archive:
        archive.extractall(tmp_path)
    side = 512 if name.startswith("Quad") else 256
    for depth, expected in MERLIN[name].items():
        bits, raw = re.fullmatch(r"(\d+)(RAW)?", str(depth)).groups("")
        path = tmp_path / f"{name}_Frame_CounterDepth_{bits}_Rows_256{raw}.mib"
        got = unmix("info", path)
        assert got["format"] == "mib" and got["shape"][2:] == [side, side]
        assert got["shape"][0] * got["shape"][1] == int(name[-1])
        assert got["dtype"] == {"1": "uint8", "6": "uint8", "12": "uint16", "24": "uint32"}[bits]
        assert total(unmix, path, tmp_path) == expected, path.name


@pytest.mark.parametrize("name", REGIONS)
def test_merlin_regions(unmix, shared, tmp_path, name):
    for archive in (shared / "mib").glob("Merlin_navigation*.zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path)
    shape, expected, maximum = REGIONS[name]
    got = unmix("info", tmp_path / name)
    assert got["shape"] == shape
    image = unmix("image", tmp_path / name, "-o", tmp_path / "pictures")
    assert image["sum"] == expected and (maximum is None or image["max"] == maximum)


def test_merlin_exposure(unmix, shared, tmp_path):
    with zipfile.ZipFile(shared / "mib/Merlin_navigation4x2_ROI.zip") as opened:
        opened.extractall(tmp_path)
    text = str(unmix("info", tmp_path / "001_4x2_6bit.mib")["metadata"])
    assert "2021-05-07T16:51:10.905800928Z" in text
    assert "0.1" in text


def test_fpd_holds_its_own_sums(unmix, shared, tmp_path):
    path = shared / "fpd/FPD_HDF5.hdf5"
    image = unmix("image", path, "-o", tmp_path / "pictures")
    assert (image["sum"], image["max"]) == (1304983, 314)
    with h5py.File(path) as file:
        data = file["fpd_expt/fpd_data/data"][()].reshape(16, 16, 256, 256)
        image_of_sums = file["fpd_expt/fpd_sum_im/data"][()].reshape(16, 16)
        pattern_of_sums = file["fpd_expt/fpd_sum_dif/data"][()].reshape(256, 256)
    unmix("prep", path, "-o", tmp_path / "copy.npy")
    copy = numpy.load(tmp_path / "copy.npy")
    assert copy.dtype == "u2" and (copy == data).all()
    assert (copy.sum((2, 3)) == image_of_sums).all()
    assert (copy.sum((0, 1)) == pattern_of_sums).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"])
def test_npy_of_every_type(unmix, tmp_path, kind, order):
    x = numpy.random.default_rng(4).integers(0, 100, (3, 5, 4, 7)).astype(order + kind)
    numpy.save(tmp_path / "scan.npy", x)
    got = unmix("info", tmp_path / "scan.npy")
    assert got["format"] == "npy" and got["shape"] == [3, 5, 4, 7]
    assert got["dtype"] == numpy.dtype(kind).name
    assert total(unmix, tmp_path / "scan.npy", tmp_path) == x.sum()
