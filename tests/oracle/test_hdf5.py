"""HDF5 scans against h5py: every codec, byte order, element type and layout, to the last bit."""
import zlib

import h5py
import hdf5plugin
import numpy as np
import pytest

SHAPE = (5, 7, 12, 11)
CHUNK = (2, 3, 5, 4)  # edge chunks along every axis


def counts(dtype, shape=SHAPE, seed=3):
    rng = np.random.default_rng(seed)
    values = rng.poisson(rng.gamma(0.3, 30, shape))
    if np.dtype(dtype).kind == "i":
        values = values - 40
    if np.dtype(dtype).kind == "f":
        return (values / 8 - 3).astype(dtype)  # exact also in the float32 that convert works in
    return np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def as_read(unmix, path, out, *options):
    unmix("convert", path, out, "--force", *options)
    return np.load(out)


def keep_f64(dtype):
    """convert writes float32 unless told; 64-bit integers come as float64."""
    return ("--dtype", "f64") if dtype[-1] == "8" else ()


CODECS = {
    "none": {},
    "gzip": dict(compression="gzip", compression_opts=4),
    "gzip-shuffle": dict(compression="gzip", shuffle=True),
    "shuffle": dict(shuffle=True),
    "fletcher32": dict(fletcher32=True),
    "gzip-shuffle-fletcher32": dict(compression="gzip", shuffle=True, fletcher32=True),
    "lzf": dict(compression="lzf"),
    "lzf-shuffle": dict(compression="lzf", shuffle=True),
    "lz4": dict(**hdf5plugin.LZ4()),
    "lz4-small-blocks": dict(**hdf5plugin.LZ4(nbytes=64)),
    "bitshuffle": dict(**hdf5plugin.Bitshuffle(cname="none")),
    "bitshuffle-lz4": dict(**hdf5plugin.Bitshuffle(cname="lz4")),
    "bitshuffle-lz4-blocks": dict(**hdf5plugin.Bitshuffle(nelems=64, cname="lz4")),
    "bitshuffle-zstd": dict(**hdf5plugin.Bitshuffle(cname="zstd")),
    "zstd": dict(**hdf5plugin.Zstd()),
    **{f"blosc-{name}-{shuffle}": dict(**hdf5plugin.Blosc(cname=name, shuffle=shuffle))
       for name in ("blosclz", "lz4", "zstd", "zlib") for shuffle in (0, 1, 2)},
}


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", ">i4", "<f4", ">f8"])
@pytest.mark.parametrize("codec", CODECS)
def test_codec(unmix, tmp_path, codec, dtype):
    data = counts(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=CHUNK, **CODECS[codec])
    read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy", *keep_f64(dtype))
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    assert read.tobytes() == data.astype(read.dtype).tobytes()


# Whole patterns (decoded where they are wanted), whole rows, and chunks that cut patterns.
@pytest.mark.parametrize("chunks", [(1, 1, 50, 47), (3, 4, 50, 47), (4, 4, 16, 16), (3, 9, 7, 47),
                                    (7, 9, 50, 1)])  # more side by side than are decoded together
@pytest.mark.parametrize("codec", ["none", "gzip", "gzip-shuffle", "gzip-shuffle-fletcher32", "fletcher32", "lz4",
                                   "bitshuffle", "bitshuffle-lz4", "bitshuffle-zstd", "blosc-lz4-1"])
def test_chunk_shapes(unmix, tmp_path, codec, chunks):
    for dtype in ("u1", "<u2", ">f4"):
        data = counts(dtype, (7, 9, 50, 47))
        with h5py.File(tmp_path / "a.h5", "w") as f:
            f.create_dataset("scan", data=data, chunks=chunks, **CODECS[codec])
        read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy")
        assert read.tobytes() == data.astype(read.dtype).tobytes(), dtype


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", ">i2", "<i4", ">u4", "<f4", ">f4", "<f8", ">f8"])
def test_contiguous(unmix, tmp_path, dtype):
    data = counts(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data)
    read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy", *keep_f64(dtype))
    assert read.tobytes() == data.astype(np.dtype(dtype).newbyteorder("=")).tobytes()


@pytest.mark.parametrize("chunks", [None, CHUNK])
@pytest.mark.parametrize("dtype", ["<i8", ">i8", "<u8", "<f2", "?"])
def test_types_that_are_converted(unmix, tmp_path, dtype, chunks):
    data = counts("<u2").astype(dtype) if dtype != "?" else counts("<u2") > 5
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=chunks)
    read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy", *keep_f64(dtype))
    assert read.dtype == {"?": np.uint8, "<f2": np.float32}.get(dtype, np.float64)
    assert np.array_equal(read, data)


@pytest.mark.parametrize("kind", [dict(), dict(chunks=(1, 1, 256, 32)),
                                  dict(chunks=(2, 2, 100, 60), compression="gzip", shuffle=True)])
@pytest.mark.parametrize("dtype", ["<f2", ">f2"])
def test_every_half_float(unmix, tmp_path, dtype, kind):
    data = np.arange(65536, dtype="u2").view("f2").astype(dtype).reshape(2, 2, 256, 64)
    data[np.isnan(data)] = np.nan  # which of the many kinds is nobody's business
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, **kind)
    read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy")
    assert read.dtype == np.float32
    assert np.array_equal(read, data.astype("f4"), equal_nan=True)


@pytest.mark.parametrize("dtype", ["<f2", "12 bits"])
def test_compressed_chunks_that_are_too_short(unmix, tmp_path, dtype):
    """Release 1.10 of HDF5 reads past their end when it is asked to convert them."""
    with h5py.File(tmp_path / "a.h5", "w") as f:
        kind = h5py.h5t.py_create("<f2" if dtype == "<f2" else "<u2").copy()
        if dtype == "12 bits":
            kind.set_precision(12)
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk(SHAPE)
        layout.set_deflate(4)
        d = h5py.Dataset(h5py.h5d.create(f.id, b"scan", kind, h5py.h5s.create_simple(SHAPE), layout))
        d.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(100)))
    message = unmix.fails("convert", tmp_path / "a.h5", tmp_path / "a.npy")
    assert "chunk" in message


@pytest.mark.parametrize("chunks", [None, CHUNK])
def test_integers_that_no_double_holds(unmix, tmp_path, chunks):
    data = np.zeros(SHAPE, "i8")
    data[4, 6, 11, 10] = 2**53 + 1
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=chunks)
    assert "2^53" in unmix.fails("convert", tmp_path / "a.h5", tmp_path / "a.npy")


@pytest.mark.parametrize("fill", [0, 77])
def test_chunks_never_written(unmix, tmp_path, fill):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("scan", SHAPE, ">u2", chunks=CHUNK, fillvalue=fill, compression="gzip")
        d[3, 2:5] = counts("u2")[3, 2:5]
        expected = d[...]
    read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy")
    assert np.array_equal(read, expected)


def test_chunk_that_skipped_its_filter(unmix, tmp_path):
    data = np.random.default_rng(0).integers(0, 256, SHAPE).astype("u1")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("scan", SHAPE, "u1", chunks=(1, 7, 12, 11), compression="gzip")
        for y in range(SHAPE[0]):
            d.id.write_direct_chunk((y, 0, 0, 0), data[y].tobytes(), filter_mask=1)
        assert np.array_equal(d[...], data)
    assert np.array_equal(as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy"), data)


def test_many_chunks(unmix, tmp_path):
    """More chunks than are listed at opening: fetched by the library, decoded by us."""
    data = counts("u2", (60, 70, 4, 6))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=(1, 1, 4, 6), compression="gzip", shuffle=True)
    assert np.array_equal(as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy"), data)


@pytest.mark.parametrize("libver", ["earliest", ("v108", "v108"), ("v110", "v110")])
def test_indexes_of_all_kinds(unmix, tmp_path, libver):
    """Trees of several levels, object headers in several blocks, and the indexes of newer releases."""
    data = counts("u1", (40, 50, 4, 4))
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as f:
        d = f.create_dataset("scan", data=data, chunks=(1, 1, 2, 3), maxshape=(None, 50, 4, 4), compression="gzip")
        for i in range(60):
            d.attrs[f"note {i}"] = "long " * 20
        d[3:7] = 0
        f["scan"].resize(60, 0)
    read = as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy", "--threads", "2")
    data[3:7] = 0
    assert np.array_equal(read[:40], data) and not read[40:].any()


def test_decoding_is_part_of_the_plan(unmix, tmp_path):
    """Two workers would decode in 2 x 2 x 4.7 MB: where that does not fit one goes, or the run does not begin."""
    data = counts("u2", (32, 16, 64, 64))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=(16, 16, 64, 64), compression="gzip", shuffle=True)
    for budget in ("9M", "11M", "14M", "24M", "200M"):
        sums = unmix("image", tmp_path / "a.h5", "-o", tmp_path / "out", "--threads", "2", "--memory", budget, "--force")
        assert sums["sum"] == data.sum(dtype="u8"), budget
    message = unmix.fails("image", tmp_path / "a.h5", "-o", tmp_path / "none", "--threads", "2", "--memory", "4M")
    assert "--memory" in message and not (tmp_path / "none").exists()


def test_damaged_index_never_crashes(unmix, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=counts("u1", (20, 30, 4, 4)), chunks=(1, 1, 4, 4), compression="gzip")
    whole = (tmp_path / "a.h5").read_bytes()
    nodes = [at for at in range(len(whole) - 3) if whole[at:at + 5] == b"TREE\1"]
    assert len(nodes) > 10
    rng = np.random.default_rng(2)
    for trial in range(12):
        bad = bytearray(whole)
        for at in rng.choice(nodes, 3):
            bad[int(at) + int(rng.integers(4, 300))] = int(rng.integers(256))
        (tmp_path / "b.h5").write_bytes(bad)
        done = unmix.run("convert", tmp_path / "b.h5", tmp_path / "b.npy", "--force")
        assert done.returncode in (0, 1), (done.returncode, done.stderr)


def test_growing_array_with_chunks_beyond_its_end(unmix, tmp_path):
    data = counts("u2", (1, 5, 7, 12, 11))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=(4, 2, 8, 16, 4), maxshape=(None,) * 5,
                         compression="gzip")
    assert np.array_equal(as_read(unmix, tmp_path / "a.h5", tmp_path / "a.npy"), data[0])


@pytest.mark.parametrize("userblock,libver", [(512, "earliest"), (0, "v110"), (4096, "v108")])
def test_file_layouts(unmix, tmp_path, userblock, libver):
    data = counts("u2")
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=userblock, libver=libver) as f:
        f.create_dataset("a/b", data=data, chunks=CHUNK, compression="gzip")
        f.create_dataset("c", data=data[::-1].copy())
    for name, expected in (("a/b", data), ("c", data[::-1])):
        assert np.array_equal(as_read(unmix, f"{tmp_path}/a.h5:/{name}", tmp_path / "a.npy"), expected)


def test_links_and_virtual_arrays(unmix, tmp_path):
    data = counts("<u2")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=data, chunks=CHUNK, **hdf5plugin.LZ4())
        f.create_dataset("plain", data=data)
    layout = h5py.VirtualLayout(SHAPE, "<u2")
    layout[...] = h5py.VirtualSource(tmp_path / "a.h5", "plain", SHAPE)
    with h5py.File(tmp_path / "b.h5", "w") as f:
        f["linked"] = h5py.ExternalLink("a.h5", "/scan")
        f["soft"] = h5py.SoftLink("/linked")
        f.create_virtual_dataset("virtual", layout)
        f.create_dataset("external", data=data, external=[(str(tmp_path / "x.bin"), 0, data.nbytes)])
    for name in ("linked", "soft", "virtual", "external"):
        assert np.array_equal(as_read(unmix, f"{tmp_path}/b.h5:{name}", tmp_path / "b.npy"), data), name


def test_stack_and_matrix(unmix, tmp_path):
    stack = counts("u2", (35, 12, 11))
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("stack", data=stack, chunks=(4, 12, 11), compression="gzip")
        f.create_dataset("matrix", data=stack.reshape(35, -1))
    path = f"{tmp_path}/a.h5"
    assert unmix("info", path + ":/stack")["shape"] == [1, 35, 12, 11]
    assert unmix("info", path + ":/matrix")["shape"] == [1, 35, 1, 132]
    assert unmix("info", path)["shape"] == [1, 35, 12, 11]
    read = as_read(unmix, path + ":/stack", tmp_path / "a.npy", "--scan", "5x7")
    assert np.array_equal(read.reshape(5, 7, 12, 11), stack.reshape(5, 7, 12, 11))


def test_candidates_are_listed(unmix, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("one", data=counts("u2"))
        f.create_dataset("group/two", data=counts("f4"))
    line = unmix.fails("info", tmp_path / "a.h5")
    assert "/one (5x7x12x11 uint16)" in line and "/group/two (5x7x12x11 float32)" in line


def test_unknown_filter_is_named(unmix, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=counts("u2"), chunks=CHUNK, **hdf5plugin.Blosc2())
    assert "32026" in unmix.fails("convert", tmp_path / "a.h5", tmp_path / "a.npy")


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("codec", ["none", "gzip", "bitshuffle-lz4"])
def test_truncated(unmix, tmp_path, codec, keep):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f.create_dataset("scan", data=counts("u2"), chunks=CHUNK, **CODECS[codec])
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "b.h5").write_bytes(whole[:int(len(whole) * keep)])
    unmix.fails("convert", tmp_path / "b.h5", tmp_path / "b.npy")
    assert not (tmp_path / "b.npy").exists() and not (tmp_path / "b.npy.part").exists()


@pytest.mark.parametrize("codec", ["gzip", "lz4", "bitshuffle-lz4", "bitshuffle-zstd", "zstd", "lzf",
                                   "blosc-lz4-1", "gzip-shuffle-fletcher32"])
def test_damaged_chunks_never_crash(unmix, tmp_path, codec):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        d = f.create_dataset("scan", data=counts("u2"), chunks=(5, 7, 12, 11), **CODECS[codec])
        f.flush()
        where = d.id.get_chunk_info(0)
    whole = bytearray((tmp_path / "a.h5").read_bytes())
    rng = np.random.default_rng(1)
    for trial in range(12):
        bad = bytearray(whole)
        for at in rng.integers(0, min(where.size, 200 if trial % 2 else where.size), 1 + trial):
            bad[where.byte_offset + int(at)] = int(rng.integers(256))
        (tmp_path / "b.h5").write_bytes(bad)
        done = unmix.run("convert", tmp_path / "b.h5", tmp_path / "b.npy", "--force")
        assert done.returncode in (0, 1), (done.returncode, done.stderr)


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "blosc", "bitshuffle"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4"])
def test_what_unmix_writes(unmix, tmp_path, compression, dtype):
    data = counts(dtype, (5, 7, 120, 111))  # several patterns to a chunk, edge chunks, odd sizes
    np.save(tmp_path / "a.npy", data)
    unmix("convert", tmp_path / "a.npy", tmp_path / "a.hspy", "--compression", compression)
    with h5py.File(tmp_path / "a.hspy") as f:
        d = next(iter(f["Experiments"].values()))["data"]
        assert d.dtype == data.dtype and d.chunks is not None
        assert d[...].tobytes() == data.tobytes()
    read = as_read(unmix, tmp_path / "a.hspy", tmp_path / "b.npy")
    assert read.tobytes() == data.tobytes()


REFERENCE = [  # ../shared/data/README.md
    ("fpd/FPD_HDF5.hdf5", "fpd", "uint16", (16, 16, 256, 256), 1304983),
    ("sped-ag/SPED_Ag_labels_sum_signal.hspy", "hspy", "uint32", (1, 5, 112, 112),
     10111356683 + 1405621529 + 1604248949 + 45237439955 + 41158070054),
    ("hspy/tvips_sped_2x2.hspy", "hspy", "uint16", (2, 2, 256, 256), None),
    ("hspy/example1_v1.0.hdf5", "hspy", "float64", (1, 1, 1, 21), 104070),
    ("hspy/example1_v1.1.hdf5", "hspy", "float64", (1, 1, 1, 21), 104070),
    ("hspy/example1_v1.2.hdf5", "hspy", "float64", (1, 1, 1, 21), 104070),
    ("hspy/example2_v2.2.hspy", "hspy", "float64", (1, 1, 10, 10), None),
    ("hspy/example2_v3.1.hspy", "hspy", "int32", (1, 1, 16, 16), None),
    ("hspy/with_lists_etc.hdf5", "hspy", "float64", (1, 1, 1, 10), None),
    ("emd/py4DSTEM_size2x3x4x5.h5", "emd", "float32", (2, 3, 4, 5), 28255.8762),
    ("emd/Si100_4D.emd", "emd", "float32", (11, 11, 8, 8), 110.668392),
]


@pytest.mark.parametrize("name,kind,dtype,shape,total", REFERENCE, ids=[r[0] for r in REFERENCE])
def test_real_files(unmix, shared, tmp_path, name, kind, dtype, shape, total):
    info = unmix("info", shared / name)
    assert (info["format"], info["dtype"], tuple(info["shape"])) == (kind, dtype, shape)
    read = as_read(unmix, shared / name, tmp_path / "a.npy")
    if total is not None:
        assert read.sum(dtype="f8") == pytest.approx(total, rel=1e-8)
    with h5py.File(shared / name) as f:
        stored = f[info["metadata"]["dataset"]][...]
    assert np.array_equal(read.reshape(stored.shape), stored.astype(read.dtype))


def test_both_scans_of_one_file(unmix, shared, tmp_path):
    """Prismatic: the table's sum is that of both depths; the second is opened by its path."""
    path = f"{shared}/emd/Si100_4D.emd:/4DSTEM_simulation/data/datacubes/CBED_array_depth000"
    sums = [as_read(unmix, f"{path}{i}", tmp_path / "a.npy").sum(dtype="f8") for i in (0, 1)]
    assert sum(sums) == pytest.approx(221.275704, rel=1e-8)


AXES = [
    ("fpd/FPD_HDF5.hdf5", (5.4826, 0, "nm"), (1, 0, "")),
    ("emd/py4DSTEM_size2x3x4x5.h5", (0.126796875, 0, "nm"), (0.044251566616087125, 0, "1/Å")),
    ("emd/Si100_4D.emd", (0.5, 0, "nm"), (0.18416205, -0.73664826, "1/nm")),
    ("sped-ag/SPED_Ag_labels_sum_signal.hspy", (1, 0, ""), (0.02672830388, -1.4967850177, "1/Å")),
    ("hspy/tvips_sped_2x2.hspy", (2, 200, "nm"), (0.01261, -1.61408, "1/Å")),
]


@pytest.mark.parametrize("name,scan,detector", AXES, ids=[a[0] for a in AXES])
def test_real_calibrations(unmix, shared, name, scan, detector):
    axes = unmix("info", shared / name)["axes"]
    for axis, (scale, offset, units) in zip(axes, (scan, scan, detector, detector)):
        assert axis["scale"] == pytest.approx(scale, rel=1e-5)
        assert axis["offset"] == pytest.approx(offset, rel=1e-6, abs=1e-7)
        assert axis["units"] in ((units,) if units else ("", "px"))


def test_sums_stored_in_the_fpd_file(unmix, shared, tmp_path):
    read = as_read(unmix, shared / "fpd/FPD_HDF5.hdf5", tmp_path / "a.npy")
    with h5py.File(shared / "fpd/FPD_HDF5.hdf5") as f:
        assert np.array_equal(read.sum((0, 1), "u8"), f["fpd_expt/fpd_sum_dif/data"][...])
        assert np.array_equal(read.sum((2, 3), "u8"), f["fpd_expt/fpd_sum_im/data"][...])


def test_chunked_metadata_is_read(unmix, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["scan"] = counts("u2")
        f.create_dataset("note/lenses", data=[3, 1, 4], chunks=(2,), compression="gzip", shuffle=True)
    assert unmix("info", tmp_path / "a.h5", "--no-timing")["metadata"]["file"]["note"]["lenses"] == [3, 1, 4]


def test_a_result_with_a_damaged_chunk_is_refused(unmix, tmp_path):
    np.save(tmp_path / "a.npy", counts("u2"))
    path = tmp_path / "r.hspy"
    unmix("nmf", tmp_path / "a.npy", "-k", 2, "-o", path, "--no-report", "--max-passes", 2)
    with h5py.File(path) as f:
        group = f["Experiments"][list(f["Experiments"])[0]]["learning_results"]
        place = group["factors"].id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    for i in range(place.byte_offset + 4, place.byte_offset + place.size):
        whole[i] ^= 0x5A
    path.write_bytes(whole)
    assert "cannot be read" in unmix.fails("report", path)
