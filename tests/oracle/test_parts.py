"""A scan in several files against the same scan in one."""
import h5py
import numpy as np
import pytest

SHAPE = (12, 5, 8, 9)


@pytest.fixture
def data():
    return np.random.default_rng(0).poisson(3, SHAPE).astype("u2")


def read(unmix, spec, folder, *options):
    unmix("convert", spec, folder / "out.npy", "--force", *options)
    return np.load(folder / "out.npy")


def test_a_file_per_row_in_the_order_of_the_numbers(unmix, tmp_path, data):
    for y in range(12):
        np.save(tmp_path / f"row_{y}.npy", data[y])
    assert np.array_equal(read(unmix, f"{tmp_path}/row_*.npy", tmp_path), data)
    assert np.array_equal(read(unmix, f"{tmp_path}/row_?.npy", tmp_path), data[:10])
    crop = read(unmix, f"{tmp_path}/row_*.npy", tmp_path, "--crop-scan", "1:11,2:4")
    assert np.array_equal(crop, data[1:11, 2:4])
    reshaped = read(unmix, f"{tmp_path}/row_*.npy", tmp_path, "--scan", "4x15", "--crop-scan", "1:4,3:14")
    assert np.array_equal(reshaped, data.reshape(4, 15, 8, 9)[1:4, 3:14])


def test_a_list_with_formats_of_all_kinds(unmix, tmp_path, data):
    (tmp_path / "parts").mkdir()
    np.save(tmp_path / "parts/z.npy", data[:4])
    with h5py.File(tmp_path / "parts/a b.h5", "w") as f:
        f.create_dataset("one/scan", data=data[4:9], chunks=(2, 3, 4, 9), compression="gzip")
    np.save(tmp_path / "end.npy", data[9:].astype(">u2"))
    lines = ["# from the microscope", "", "z.npy", "  a b.h5:/one/scan\r", str(tmp_path / "end.npy")]
    (tmp_path / "parts/list.txt").write_text("\n".join(lines))
    for options in ((), ("--threads", "1"), ("--memory", "1M", "--threads", "2")):
        assert np.array_equal(read(unmix, f"@{tmp_path}/parts/list.txt", tmp_path, *options), data)
    info = unmix("info", f"@{tmp_path}/parts/list.txt")
    assert info["format"] == "parts" and info["shape"] == list(SHAPE)
    assert [p.rsplit("/", 1)[1] for p in info["metadata"]["parts"]] == ["z.npy", "a b.h5", "end.npy"]


def test_parts_of_any_length_follow_by_positions(unmix, tmp_path, data):
    stack = data.reshape(60, 8, 9)
    borders = [0, 7, 8, 31, 60]
    for i in range(4):
        np.save(tmp_path / f"p{i}.npy", stack[borders[i]:borders[i + 1]])
    assert np.array_equal(read(unmix, f"{tmp_path}/p*.npy", tmp_path), stack[None])
    scan = read(unmix, f"{tmp_path}/p*.npy", tmp_path, "--scan", "12x5", "--crop-scan", "0:12,1:5")
    assert np.array_equal(scan, data[:, 1:])
    raw = tmp_path / "flat_{}.bin"
    for i in range(2):
        stack[30 * i:30 * i + 30].tofile(str(raw).format(i))
    flat = read(unmix, str(raw).format("*"), tmp_path, "--raw", "dtype=u16,ky=8,kx=9", "--scan", "12x5")
    assert np.array_equal(flat, data)


def test_merlin_files_are_taken_as_they_are_named(unmix, tmp_path):
    frames = np.random.default_rng(1).integers(0, 4096, (10, 6, 8)).astype(">u2")
    for i, (first, last) in enumerate([(0, 4), (4, 8), (8, 10)]):
        with open(tmp_path / f"m_{i}.mib", "wb") as f:
            for n in range(first, last):
                head = f"MQ1,{n + 1:06d},00384,01,0008,0006,U16,   1x1,01,2021-05-07 16:51:10.9,0.001,0,0,0"
                f.write(head.encode().ljust(384, b"\0") + frames[n].tobytes())
    # By the first name alone the others follow, as their frame numbers carry on.
    assert read(unmix, f"{tmp_path}/m_0.mib", tmp_path, "--scan", "2x5").tobytes() == frames.astype("u2").tobytes()
    both = read(unmix, f"{tmp_path}/m_[02].mib", tmp_path, "--scan", "2x3")
    assert np.array_equal(both, frames[[0, 1, 2, 3, 8, 9]].reshape(2, 3, 6, 8))


def test_results_are_those_of_one_file(unmix, tmp_path, data):
    np.save(tmp_path / "whole.npy", data)
    for y in range(0, 12, 4):
        np.save(tmp_path / f"part_{y}.npy", data[y:y + 4])
    for name, spec in (("one", tmp_path / "whole.npy"), ("many", f"{tmp_path}/part_*.npy")):
        unmix("nmf", spec, "-k", "2", "-o", tmp_path / f"{name}.npz")
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "many.npz") as many:
        assert np.array_equal(one["factors"], many["factors"], equal_nan=True)
        assert np.array_equal(one["loadings"], many["loadings"], equal_nan=True)


def test_refusals_name_the_part(unmix, tmp_path, data):
    np.save(tmp_path / "a_1.npy", data)
    np.save(tmp_path / "a_2.npy", data[..., :8])
    message = unmix.fails("info", f"{tmp_path}/a_*.npy")
    assert "a_2.npy" in message and "8 x 8" in message and "alike" in message
    np.save(tmp_path / "b_1.npy", data)
    (tmp_path / "b_2.npy").write_bytes((tmp_path / "b_1.npy").read_bytes()[:5000])
    assert "b_2.npy: ends after" in unmix.fails("info", f"{tmp_path}/b_*.npy")
    assert "no file has such a name" in unmix.fails("info", f"{tmp_path}/c_*.npy")
    (tmp_path / "list.txt").write_text("# nothing\n\n")
    assert "names no files" in unmix.fails("info", f"@{tmp_path}/list.txt")
    (tmp_path / "list.txt").write_text("a_1.npy\ngone.npy\n")
    assert "gone.npy: cannot be opened" in unmix.fails("info", f"@{tmp_path}/list.txt")
    assert "no list of file names" in unmix.fails("info", f"@{tmp_path}/a_1.npy")
    (tmp_path / "odd[1].npy").write_bytes((tmp_path / "b_1.npy").read_bytes())
    assert unmix("info", tmp_path / "odd[1].npy")["format"] == "npy"  # a file of that name is that file
