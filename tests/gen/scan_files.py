"""Writes small scans in every format that unmix reads, from the formats' descriptions and independent of its C
code: the seeds of the fuzz targets, and files for tests that need to know what is in them.

Every writer takes a path and a (ny, nx, ky, kx) array.
"""
import struct

import h5py
import numpy


def counts(shape=(3, 4, 6, 5), dtype="u2", seed=1, mean=3.0):
    return numpy.random.default_rng(seed).poisson(mean, shape).astype(dtype)


def blo(path, scan, note=b"Precession angle : 1 deg\r\n"):
    ny, nx, ky, kx = scan.shape
    assert ky == kx and scan.dtype == numpy.uint8
    second = 4096 + ny * nx
    head = struct.pack("<6sHIIIHHHHHddIHIdd", b"IMGBLO", 258, 4096, second, 131135, ky, 0, nx, ny, 0,
                       12.8, 12.8, 200000, 6226, 2000, 0.0, 42339.65)
    head = head.ljust(240, b"\0") + note
    with open(path, "wb") as out:
        out.write(head.ljust(4096, b"\0"))
        out.write(scan.sum((2, 3)).clip(0, 255).astype("u1").tobytes())
        for number, pattern in enumerate(scan.reshape(-1, ky, kx)):
            out.write(b"\xaa\x55" + struct.pack("<I", number + 1) + pattern.tobytes())


def mib(path, scan, depth=12, hdr=None, lines=True):
    """Processed Merlin frames; with lines every first frame of a scan line took longer to come."""
    ny, nx, ky, kx = scan.shape
    letter, dtype = {1: ("U08", ">u1"), 6: ("U08", ">u1"), 12: ("U16", ">u2"), 24: ("U32", ">u4")}[depth]
    second = 0.0
    with open(path, "wb") as out:
        for number, pattern in enumerate(scan.reshape(-1, ky, kx)):
            second += 0.01 if number % nx or not lines else 0.05
            stamp = f"2021-05-07T16:51:{second:012.9f}Z"
            head = (f"MQ1,{number + 1:06d},00384,01,{kx:04d},{ky:04d},{letter},   1x1,01,"
                    f"2021-05-07 16:51:{second:09.6f},0.010000,0,0,0,1.2E+2,MQ1A,{stamp},10000000ns,{depth}")
            out.write(head.encode().ljust(384, b"\0") + pattern.astype(dtype).tobytes())
    if hdr is not None:
        merlin_hdr(hdr, nx, ny * nx)


def merlin_hdr(path, per_trigger, frames):
    text = ("HDR,\t\nTime and Date Stamp (day, mnth, yr, hr, min, s):\t07/05/2021 16:51:10\n"
            f"Frames in Acquisition (Number):\t{frames}\nFrames per Trigger (Number):\t{per_trigger}\n"
            "Counter Depth (number):\t12\nEnd\t")
    with open(path, "wb") as out:
        out.write(text.encode("latin-1").ljust(2048, b" "))


def mib_raw(path, scan, depth=12):
    """Raw single-chip frames of 12, 6 or 1 bit: groups of pixels in reversed order."""
    ny, nx, ky, kx = scan.shape
    with open(path, "wb") as out:
        for number, pattern in enumerate(scan.reshape(-1, ky, kx)):
            head = f"MQ1,{number + 1:06d},00384,01,{kx:04d},{ky:04d},R64,   1x1,01,,,0,0,0,,MQ1A,,,{depth}"
            out.write(head.encode().ljust(384, b"\0"))
            if depth == 1:
                bits = numpy.packbits((pattern > 0).reshape(-1, 64), axis=1, bitorder="little")
                out.write(bits[:, ::-1].tobytes())
            else:
                group, dtype = (4, ">u2") if depth == 12 else (8, "u1")
                out.write(pattern.reshape(-1, group)[:, ::-1].astype(dtype).tobytes())


def hspy(path, scan, scales=(2.0, 2.0, 0.01, 0.01), units=("nm", "nm", "1/nm", "1/nm"), title="scan",
         version="3.3", chunks=True, **options):
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        file.attrs["file_format_version"] = version
        group = file.create_group(f"Experiments/{title}")
        group.create_dataset("data", data=scan, chunks=chunks, **options)
        first = scan.ndim - 2
        names = (["y", "x"][2 - first:] if first <= 2 else ["z", "y", "x"]) + ["ky", "kx"]
        for i, size in enumerate(scan.shape):
            axis = group.create_group(f"axis-{i}").attrs
            axis["_type"] = "UniformDataAxis"
            axis["name"], axis["units"] = names[i], units[i]
            axis["scale"], axis["offset"], axis["size"] = scales[i], 0.0, size
            axis["navigate"] = numpy.bool_(i < first)
        group.create_group("metadata/General").attrs["title"] = title
        group.create_group("metadata/Signal").attrs["signal_type"] = "electron_diffraction"
        group.create_group("original_metadata")


def emd_berkeley(path, scan):
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        group = file.create_group("experiment/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = scan
        for i, (name, units) in enumerate([("y", "[n_m]"), ("x", "[n_m]"), ("ky", "[px]"), ("kx", "[px]")]):
            dim = group.create_dataset(f"dim{i + 1}", data=numpy.arange(scan.shape[i]) * 0.5)
            dim.attrs["name"], dim.attrs["units"] = name, units


def emd_py4dstem(path, scan):
    with h5py.File(path, "w") as file:
        file.attrs["emd_group_type"] = "file"
        file.attrs["version_major"], file.attrs["version_minor"] = 1, 0
        root = file.create_group("root")
        root.attrs["emd_group_type"] = "root"
        group = root.create_group("datacube")
        group.attrs["emd_group_type"], group.attrs["python_class"] = "array", "DataCube"
        group["data"] = scan
        for i, (name, units) in enumerate([("Rx", "A"), ("Ry", "A"), ("Qx", "A^-1"), ("Qy", "A^-1")]):
            dim = group.create_dataset(f"dim{i}", data=numpy.array([0.0, 0.25]))
            dim.attrs["name"], dim.attrs["units"] = name, units


def plain_hdf5(path, array, name="entry/data"):
    with h5py.File(path, "w") as file:
        file[name] = array


def learning_npz(path, k=3, positions=12, pixels=30):
    random = numpy.random.default_rng(2)
    numpy.savez(path, factors=random.random((pixels, k)), loadings=random.random((positions, k)),
                decomposition_algorithm="NMF", output_dimension=k, poissonian_noise_normalized=True)
