"""seeds.py FOLDER - writes the first inputs of every fuzz target: sound small files of each kind, so that
mutation starts behind the signature."""
import pathlib
import shutil
import sys

import numpy
import tifffile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "gen"))
import scan_files  # noqa: E402

SCAN = scan_files.counts((3, 2, 4, 4))


def folder(root, name):
    path = root / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def npy(out):
    for kind in ("u1", ">u2", "u4", "i2", "f4", ">f8", "?"):
        numpy.save(out / f"{kind.strip('>?') or 'bool'}.npy", SCAN.astype(kind))
    numpy.save(out / "fortran.npy", numpy.asfortranarray(SCAN))
    numpy.save(out / "line.npy", SCAN[0])
    numpy.save(out / "table.npy", SCAN.reshape(6, 16))
    numpy.save(out / "none.npy", SCAN[:0])


def blo(out):
    scan_files.blo(out / "plain.blo", SCAN.astype("u1"))


def mib(out):
    for depth in (1, 6, 12, 24):
        scan_files.mib(out / f"{depth}.mib", SCAN.clip(0, 1) if depth == 1 else SCAN, depth)
    wide = scan_files.counts((2, 1, 2, 256))
    for depth in (1, 6, 12):
        scan_files.mib_raw(out / f"raw{depth}.mib", wide, depth)


def mib_hdr(out):
    scan_files.merlin_hdr(out / "pixel.hdr", 1, 12)
    scan_files.merlin_hdr(out / "line.hdr", 4, 12)
    (out / "scan.hdr").write_bytes(b"HDR,\t\nScanX:\t4\nScanY:\t3\nEnd\t".ljust(2048))


def hdf5(out):
    """Instructions, not files: see fuzz_hdf5.c. One for each layout, and random ones."""
    random = numpy.random.default_rng(3)
    for layout in range(6):
        # shape 3 x 2 x 4 x 4, chunks 2 x 2 x 4 x 4, u16, chunked, no filter, one chunk
        body = bytes([0, 3, 1, 2, 1, 4, 3, 4, 3, 1, 1, 0, 1, 0, 0, 0, 0, 0, 32, 7]) + bytes(range(128))
        (out / f"layout{layout}").write_bytes(bytes([layout] + ([3, 2, 1, 9] if layout else [])) + body)
        (out / f"random{layout}").write_bytes(bytes([layout]) + random.bytes(700))


def raw(out):
    text = b"dtype=u16,ky=4,kx=4"
    (out / "plain").write_bytes(text + b"\0" + SCAN.tobytes())
    (out / "headers").write_bytes(text + b",header=10,frame_header=2,endian=big\0" + b"h" * 10 + SCAN.tobytes())


def array(out):
    work = out / "work"
    work.mkdir(exist_ok=True)
    mask = SCAN[0, 0] > 3
    numpy.save(work / "0.npy", mask)
    scan_files.learning_npz(work / "1.npz")
    tifffile.imwrite(work / "2.tif", SCAN[0].astype("f4"))
    import imageio.v3
    imageio.v3.imwrite(work / "3.png", mask.astype("u1") * 255)
    for path in sorted(work.iterdir()):
        (out / path.name).write_bytes(bytes([int(path.stem)]) + path.read_bytes())
    shutil.rmtree(work)


def model(out):
    work = out / "npz.npz"
    scan_files.learning_npz(work)
    work.replace(out / "npz")


def recipe(out):
    texts = ["crop-scan=0:2,0:2", "bin-signal=4", "mask-beam=10", "center=com", "bf:disc:3.5,3.5,2",
             "[prep]\ncrop-signal = 1:3,0:4\nbin-scan = 2\nbackground = dog:1.7,13.2\n; a note\nfriedel\n"]
    for i, text in enumerate(texts):
        (out / str(i)).write_text(text)


def cif(out):
    cell = "data_x\n_cell_length_a 4.0(1)\n_cell_length_b 4\n_cell_length_c 5\n_cell_angle_gamma 90\n"
    sites = "loop_\n_atom_site_label _atom_site_fract_x _atom_site_fract_y _atom_site_fract_z _atom_site_occupancy\n"
    (out / "group.cif").write_text(cell + "_space_group_name_H-M_alt 'P 4/m m m'\n" + sites + "Al1 0 0 0 1\nCu .5 .5 .3 .5\n")
    (out / "loop.cif").write_text(cell + "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n'-x, 1/2-y, z'\n" + sites +
                                  "Mg2 .1 .2 .3(1) ?\n# end\n")
    (out / "aniso.cif").write_text(cell + "_title\n;\ntext\n;\n_space_group_IT_number 62\nloop_ _atom_site_aniso_label\n"
                                   "_atom_site_aniso_U_11 _atom_site_aniso_U_23 O1 .01 .002\n" + sites + "O1 .1 .25 .3 1\n")


def main(root):
    for write in (npy, blo, mib, mib_hdr, hdf5, raw, array, model, recipe, cif):
        write(folder(root, write.__name__))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
