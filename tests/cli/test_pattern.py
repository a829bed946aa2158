"""unmix pattern: outputs, tables, refusals."""
import csv

import numpy
import pytest
from skimage import io

CIF = """data_al
_cell_length_a 4.0495(2)
_cell_length_b 4.0495
_cell_length_c 4.0495
_space_group_IT_number 225
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Al1 0 0 0
"""


@pytest.fixture
def cif(tmp_path):
    path = tmp_path / "Al.cif"
    path.write_text(CIF)
    return path


def test_works_without_any_option(unmix, cif):
    done = unmix.run("pattern", cif)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert "4 atoms, space group 225 Fm-3m" in lines[0]
    assert lines[2] == "opposite reflections up to 1 1/A differ by 0.0 % of their intensity (6 pairs)"
    assert lines[4].split()[:3] in (["2", "0", "0"], ["0", "2", "0"])


def test_picture_and_table_agree(unmix, cif, tmp_path):
    result = unmix("pattern", cif, "-o", tmp_path / "a.tif", "--table", tmp_path / "a.csv", "--direct-beam", 0, "--size",
                   "101x81", "--precession", 10)
    image = io.imread(tmp_path / "a.tif").astype(float)
    assert image.shape == (101, 81) == tuple(result["shape"])
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert len(rows) == len(result["reflections"])
    for row, r in zip(rows, result["reflections"]):
        assert [int(row[k]) for k in "hkl"] == r["hkl"]
        for key in ("g_per_A", "s_per_A", "F_A", "xi_nm", "intensity", "row_px", "column_px"):
            assert float(row[key]) == pytest.approx(r[key], rel=1e-8, abs=1e-12)
    inside = [r for r in result["reflections"] if 4 < r["row_px"] < 96 and 4 < r["column_px"] < 76]
    for r in inside[:10]:
        y, x = round(r["row_px"]), round(r["column_px"])
        assert image[y - 3:y + 4, x - 3:x + 4].sum() == pytest.approx(r["intensity"], rel=1e-5)
    with_beam = tmp_path / "b.tif"
    unmix("pattern", cif, "-o", with_beam, "--size", "101x81", "--precession", 10)
    beam = io.imread(with_beam).astype(float) - image
    assert beam.sum() == pytest.approx(result["reflections"][0]["intensity"], rel=1e-5)
    assert numpy.unravel_index(beam.argmax(), beam.shape) == (50, 40)
    unmix("pattern", cif, "-o", tmp_path / "a.png")
    assert io.imread(tmp_path / "a.png").ndim == 3


def test_orientations_agree(unmix, cif):
    """[001] with 200 to the right is the crystal as it is: no rotation."""
    ways = [["--zone", "0,0,1", "--right", "2,0,0"], ["--euler", "0,0,0"], ["--euler", "30 0 -30"],
            ["--matrix", "1 0 0 0 1 0 0 0 1"]]
    first, *others = [unmix("pattern", cif, *way) for way in ways]
    for other in others:
        assert other["orientation"] == pytest.approx(first["orientation"], abs=1e-12)
        assert [r["hkl"] for r in other["reflections"]] == [r["hkl"] for r in first["reflections"]]


@pytest.mark.parametrize("options, says", [
    (["--zone", "1,1"], "--zone takes 3 numbers"), (["--zone", "1,1,x"], "--zone takes 3 numbers"),
    (["--zone", "1,1,0.5"], "whole numbers"), (["--zone", "0,0,0"], "no direction"),
    (["--zone", "1,1,0", "--right", "2,2,0"], "no part across"), (["--euler", "1,2,3,4"], "--euler takes 3 numbers"),
    (["--euler", "0,0,0", "--zone", "0,0,1"], "exclude each other"),
    (["--euler", "0,0,0", "--right", "0,0,1"], "--right goes with --zone"),
    (["--matrix", "1,0,0,0,1,0,0,0,2"], "length 1"), (["--size", "10"], "--size takes KYxKX"),
    (["--convergence", "0"], "--sigma"), (["--ellipse", "0,3"], "ratio"), (["--tilt", "2000,0"], "right angle"),
    (["--scale", "-1"], "--scale"), (["--thickness", "0"], "--thickness"), (["--rocking", "x"], "--rocking")])
def test_wrong_options(unmix, cif, tmp_path, options, says):
    line = unmix.fails("pattern", cif, "-o", tmp_path / "x.tif", *options, status=2)
    assert says in line
    assert not (tmp_path / "x.tif").exists()


def test_files_that_are_none(unmix, cif, tmp_path):
    assert "No such file" in unmix.fails("pattern", tmp_path / "none.cif")
    (tmp_path / "bad.cif").write_text("data_x\n_cell_length_a 4\n")
    line = unmix.fails("pattern", tmp_path / "bad.cif", "-o", tmp_path / "x.tif")
    assert "bad.cif" in line and "_cell_length_b is missing" in line
    assert not (tmp_path / "x.tif").exists()
    unmix("pattern", cif, "-o", tmp_path / "x.tif")
    assert "--force" in unmix.fails("pattern", cif, "-o", tmp_path / "x.tif")
    assert "x.jpg" in unmix.fails("pattern", cif, "-o", tmp_path / "x.jpg", status=2)
    assert "Is a directory" in unmix.fails("pattern", tmp_path)
