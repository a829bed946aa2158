"""What unmix writes as other programs read it, and what it reads of instruments' files against NumPy."""
import pathlib
import subprocess
import zipfile

import numpy
import pytest
import skimage.io
import tifffile

VALUES = (numpy.arange(60) * 0.5 - 2.0).astype("f4").reshape(3, 4, 5)


@pytest.fixture(scope="module")
def outputs(unmix, tmp_path_factory):
    program = pathlib.Path(unmix.path).parent / "tests/unit/write_outputs"
    if not program.is_file():
        pytest.skip(f"{program} is not built: meson setup -Dtests=true")
    folder = tmp_path_factory.mktemp("outputs")
    subprocess.run([program, folder], check=True)
    return folder


def test_npz(outputs):
    with zipfile.ZipFile(outputs / "a.npz") as archive:
        assert archive.testzip() is None
    with numpy.load(outputs / "a.npz") as npz:
        assert sorted(npz) == sorted(["values", "mask", "k", "text", "empty", "broken"])
        assert npz["values"].dtype == "f4" and (npz["values"] == VALUES).all()
        assert npz["mask"].dtype == bool and (npz["mask"].ravel() == (numpy.arange(20) % 3 == 0)).all()
        assert npz["k"].dtype == "i8" and npz["k"].shape == () and npz["k"] == -3
        assert str(npz["text"]) == "1/Å α 𝄞" and str(npz["empty"]) == ""
        assert str(npz["broken"]) == "a\ufffd\ufffd"
    assert (numpy.load(outputs / "a.npy") == VALUES).all()


@pytest.mark.parametrize("name, expected, per_pixel, unit", [
    ("stack.tif", VALUES, 0.02, "1/\\u00c5"), ("one.tif", VALUES[0], 12.8, "nm")])
def test_tiff(outputs, name, expected, per_pixel, unit):
    with tifffile.TiffFile(outputs / name) as tiff:
        assert (tiff.asarray() == expected).all()  # as ImageJ reads stacks: one run of pixels
        for page, image in zip(tiff.pages, expected.reshape(-1, 4, 5), strict=True):
            assert (page.asarray() == image).all()
        assert tiff.imagej_metadata["unit"] == unit
        for tag in ("XResolution", "YResolution"):
            above, below = tiff.pages[0].tags[tag].value
            assert above / below == pytest.approx(1 / per_pixel, rel=1e-6)
    if expected.ndim == 2:  # scikit-image takes three pages for colours
        assert (skimage.io.imread(outputs / name) == expected).all()


def test_png(outputs):
    values = (3 * numpy.arange(80)).astype("u1")
    assert (skimage.io.imread(outputs / "rgba.png").ravel() == values).all()
    assert (skimage.io.imread(outputs / "rgb.png").ravel() == values[:60]).all()


def converted(unmix, path, folder, *options):
    unmix("convert", path, folder / "copy.npy", "--force", *options)
    return numpy.load(folder / "copy.npy")


def read_mib(path, header, side, dtype):
    frame = numpy.dtype([("header", "S1", header), ("image", dtype, (side, side))])
    return numpy.fromfile(path, frame)["image"]


def test_blockfile_pixels(unmix, shared, tmp_path):
    """Every pixel of the real file, read here by its documented layout."""
    path = shared / "blo/test1.blo"
    record = numpy.dtype([("mark", "<u2"), ("number", "<u4"), ("image", "u1", (144, 144))])
    expected = numpy.fromfile(path, record, offset=4112, count=6)
    assert (expected["mark"] == 0x55AA).all()
    assert (converted(unmix, path, tmp_path) == expected["image"].reshape(3, 2, 144, 144)).all()


@pytest.fixture(scope="module")
def merlin(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merlin")
    with zipfile.ZipFile(shared / "mib/Merlin_Single_Quad.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.mark.parametrize("name, header, side", [("Quad_9", 768, 512), ("Single_9", 384, 256)])
@pytest.mark.parametrize("depth, dtype", [(1, "u1"), (6, "u1"), (12, ">u2"), (24, ">u4")])
def test_processed_merlin_pixels(unmix, merlin, tmp_path, name, header, side, depth, dtype):
    """Rows come in the order of the file: no flip."""
    path = merlin / f"{name}_Frame_CounterDepth_{depth}_Rows_256.mib"
    got = converted(unmix, path, tmp_path, "--scan", "3x3").reshape(9, side, side)
    assert (got == read_mib(path, header, side, dtype)).all()


@pytest.mark.parametrize("name", ["Quad_9", "Single_9"])
def test_raw_merlin_shows_the_same_scene(unmix, merlin, tmp_path, name):
    """Raw and processed frames were taken one after the other: their sums agree where they are the same
    way round, and no other way."""
    images = [converted(unmix, merlin / f"{name}_Frame_CounterDepth_1_Rows_256{kind}.mib", tmp_path,
                        "--scan", "3x3").sum((0, 1), dtype="f8") for kind in ("RAW", "")]

    def smooth(image):  # counts are few: compare blocks of 8 x 8 pixels
        return image.reshape(image.shape[0] // 8, 8, -1, 8).sum((1, 3)).ravel()

    def likeness(image):
        return numpy.corrcoef(smooth(image), smooth(images[1]))[0, 1]

    same = likeness(images[0])
    assert same > 0.99
    for other in (images[0][::-1], images[0][:, ::-1], images[0][::-1, ::-1], images[0].T):
        assert likeness(other) < same - 0.05


@pytest.mark.parametrize("lazy", [False, True])
def test_blockfiles_in_rosettasciio(unmix, tmp_path, lazy):
    from rsciio.blockfile import file_reader
    data = numpy.random.default_rng(1).poisson(3, (9, 7, 32, 32)).astype("u1")
    data[:, :, 15:18, 15:18] += numpy.arange(63, dtype="u1").reshape(9, 7, 1, 1)
    numpy.save(tmp_path / "scan.npy", data)
    unmix("convert", tmp_path / "scan.npy", tmp_path / "scan.blo")
    scan = file_reader(str(tmp_path / "scan.blo"), lazy=lazy)[0]
    assert (numpy.asarray(scan["data"]) == data).all()
    header = scan["original_metadata"]["blockfile_header"]
    assert (header["NX"], header["NY"], header["DP_SZ"]) == (7, 9, 32)
    assert "Written by unmix" in header["Note"]
    begin = int(header["Data_offset_1"])
    image = numpy.frombuffer((tmp_path / "scan.blo").read_bytes()[begin:begin + 63], "u1").reshape(9, 7)
    disc = numpy.hypot(*numpy.ogrid[-16:16, -16:16]) <= 1.6
    sums = data[:, :, disc].sum(axis=2, dtype=float)
    assert numpy.abs(image - 255 * sums / sums.max()).max() <= 0.5


@pytest.mark.parametrize("codec", ["gzip", "lz4", "blosc", "bitshuffle"])
def test_simulated_scans_in_h5py(unmix, tmp_path, codec):
    import h5py
    import hdf5plugin  # noqa: F401
    settings = ["--size", "50x40", "--pattern-size", "48x48", "--dtype", "u8", "--counts", 500, "--threads", 2]
    unmix("simulate", "-o", tmp_path / "scan.npy", *settings)
    unmix("simulate", "-o", tmp_path / "scan.hspy", *settings, "--compression", codec)
    with h5py.File(tmp_path / "scan.hspy") as file:
        data = next(iter(file["Experiments"].values()))["data"]
        assert data.id.get_num_chunks() > 3
        assert (data[()] == numpy.load(tmp_path / "scan.npy")).all()
