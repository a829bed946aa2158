"""unmix pattern against NumPy, against patterns that other programs made, and against what precession is for."""
import json
import re
import warnings

import numpy
import pytest
import scipy.stats
from scipy import ndimage
from skimage import io, measure

# International Tables for Crystallography C, table 4.3.2.3: f = sum a exp(-b s^2), in angstrom.
IT_C = {
    "Mg": ((0.1130, 0.1356), (0.5575, 1.3579), (0.9046, 6.9255), (2.1580, 32.3165), (1.4735, 92.1138)),
    "Al": ((0.1165, 0.1295), (0.5504, 1.2619), (1.0179, 6.8242), (2.6295, 28.4577), (1.5711, 88.4750)),
    "S": ((0.0915, 0.0838), (0.4312, 0.7788), (1.0847, 4.3462), (2.4671, 15.5846), (1.0852, 44.6365)),
    "Ni": ((0.2313, 0.1210), (1.0657, 1.2691), (1.8229, 5.6870), (2.2609, 27.0917), (1.1883, 83.0285)),
    "Cu": ((0.3501, 0.1867), (1.6558, 1.9917), (1.9582, 11.3396), (0.2134, 53.2619), (1.4109, 63.2520)),
    "Ga": ((0.2135, 0.1020), (0.9768, 1.0219), (1.6669, 4.6275), (2.5662, 22.8742), (1.6790, 80.1535)),
    "As": ((0.2059, 0.0926), (0.9518, 0.9182), (1.6372, 4.3291), (3.0490, 19.2996), (1.4756, 58.9329)),
    "W": ((0.3661, 0.0761), (1.6191, 0.7543), (3.2455, 4.0952), (4.0856, 18.2886), (3.2064, 68.0967)),
    "Re": ((0.3933, 0.0806), (1.6973, 0.7972), (3.4202, 4.4237), (4.1274, 19.5692), (2.6158, 68.7477)),
}


def published_f(element, s):
    return sum(a * numpy.exp(-b * s * s) for a, b in IT_C[element])


def wavelength(kilovolts):
    """From h, m, e, c in SI units, CODATA 2018."""
    h, m, e, c = 6.62607015e-34, 9.1093837015e-31, 1.602176634e-19, 299792458.0
    v = kilovolts * 1e3
    return 1e10 * h / numpy.sqrt(2 * m * e * v * (1 + e * v / (2 * m * c * c)))


def axes_of(cell):
    """Rows a, b, c; a along x, b in the xy plane: the Cholesky factor of the metric."""
    a, b, c = cell[:3]
    ca, cb, cg = numpy.cos(numpy.radians(cell[3:]))
    return numpy.linalg.cholesky([[a * a, a * b * cg, a * c * cb], [a * b * cg, b * b, b * c * ca],
                                  [a * c * cb, b * c * ca, c * c]])


def write_cif(path, cell, atoms):
    lines = ["data_x", *(f"_cell_length_{n} {v}" for n, v in zip("abc", cell)),
             *(f"_cell_angle_{n} {v}" for n, v in zip(("alpha", "beta", "gamma"), cell[3:])),
             "_space_group_IT_number 1", "loop_", "_atom_site_type_symbol", "_atom_site_fract_x", "_atom_site_fract_y",
             "_atom_site_fract_z", "_atom_site_B_iso_or_equiv"]
    path.write_text("\n".join(lines + [" ".join(map(str, atom)) for atom in atoms]) + "\n")
    return path


@pytest.fixture
def theta_prime(tmp_path):
    """Al2Cu of the CaF2 kind, as a triclinically distorted cell so that nothing is right by symmetry."""
    cell = [4.04, 4.13, 5.8, 88.0, 93.0, 91.0]
    atoms = [("Al", 0, 0.5, 0.25, 0.6), ("Al", 0.5, 0, 0.25, 0.6), ("Al", 0, 0.5, 0.75, 0.6),
             ("Al", 0.5, 0, 0.75, 0.6), ("Cu", 0, 0, 0, 0.4), ("Cu", 0.5, 0.5, 0.5, 0.4)]
    return write_cif(tmp_path / "x.cif", cell, atoms), cell, atoms


def by_key(result):
    return {tuple(r["hkl"]): r for r in result["reflections"]}


@pytest.mark.parametrize("precession", [0.0, 9.0])
def test_whole_pattern_against_numpy(unmix, tmp_path, theta_prime, precession):
    path, cell, atoms = theta_prime
    angles = numpy.radians([35.0, 20.0, 70.0])
    voltage, thickness, s_max, scale = 120.0, 35.0, 0.03, 0.02
    out = tmp_path / "x.tif"
    result = unmix("pattern", path, "--euler", "35,20,70", "--voltage", voltage, "--thickness", thickness, "--smax", s_max,
                   "--scale", scale, "--size", "120x150", "--center", "57.3,80.9", "--rotation", 12, "--ellipse",
                   "1.05,30", "--sigma", 1.3, "--precession", precession, "--direct-beam", 0, "-o", out)
    lam = wavelength(voltage)
    assert result["wavelength_A"] == pytest.approx(lam, rel=1e-8)
    axes = axes_of(cell)
    h = numpy.stack(numpy.meshgrid(*[numpy.arange(-25, 26)] * 3, indexing="ij"), -1).reshape(-1, 3)
    h = h[(h != 0).any(axis=1)]

    def about_z(t):
        return numpy.array([[numpy.cos(t), -numpy.sin(t), 0], [numpy.sin(t), numpy.cos(t), 0], [0, 0, 1]])

    about_x = numpy.array([[1, 0, 0], [0, numpy.cos(angles[1]), -numpy.sin(angles[1])],
                           [0, numpy.sin(angles[1]), numpy.cos(angles[1])]])
    rotation = about_z(angles[0]) @ about_x @ about_z(angles[2])
    g = h @ numpy.linalg.inv(axes).T @ rotation.T
    s = numpy.linalg.norm(g, axis=1) / 2
    factor = sum(published_f(el, s) * numpy.exp(-b * s * s) * numpy.exp(2j * numpy.pi * h @ numpy.array([x, y, z], float))
                 for el, x, y, z, b in atoms)
    # Excitation error: where the line through g along z meets the sphere about -k.
    psi = 2 * numpy.pi * (numpy.arange(4096 if precession else 1) + 0.5) / 4096
    tilt = precession * 1e-3
    center = numpy.stack([numpy.sin(tilt) * numpy.cos(psi), numpy.sin(tilt) * numpy.sin(psi),
                          numpy.full(psi.size, numpy.cos(tilt))]) / lam
    near = numpy.abs(g[:, 2] - lam * (g[:, 0] ** 2 + g[:, 1] ** 2) / 2) < 0.1
    near &= numpy.hypot(g[:, 0], g[:, 1]) < 2.2
    h, g, factor = h[near], g[near], numpy.abs(factor[near])
    below = numpy.sqrt(lam ** -2 - ((g[:, :2, None] - center[None, :2]) ** 2).sum(axis=1))
    errors = g[:, 2:] - (center[2] - below)
    volume = numpy.linalg.det(axes)
    gamma = 1 + voltage / 510.99895
    inverse_xi = gamma * lam * factor / (numpy.pi * volume)
    u = numpy.sqrt(errors ** 2 + inverse_xi[:, None] ** 2)
    intensity = (numpy.sin(numpy.pi * 10 * thickness * u) * inverse_xi[:, None] / u) ** 2
    expected = {tuple(k): (i, f, x, e) for k, i, f, x, e in zip(h.tolist(), intensity.mean(axis=1), factor, g, errors[:, 0])}
    turn = about_z(numpy.radians(12))[:2, :2]
    axis = about_z(numpy.radians(30))[:2, :2]
    stretch = axis @ numpy.diag([1.05 ** 0.5, 1.05 ** -0.5]) @ axis.T @ turn
    ours = by_key(result)
    assert len(ours) > 20
    strongest = max(r["intensity"] for r in ours.values())
    for key, r in ours.items():
        i, f, vector, error = expected[key]
        x, y = stretch @ vector[:2] / scale
        assert (r["column_px"], r["row_px"]) == pytest.approx((80.9 + x, 57.3 - y), abs=1e-6)
        assert r["g_per_A"] == pytest.approx(numpy.linalg.norm(vector), rel=1e-9)
        assert (r["x_per_A"], r["y_per_A"]) == pytest.approx(tuple(vector[:2]), abs=1e-9)
        if not precession:
            assert r["s_per_A"] == pytest.approx(error, abs=1e-9)
        # Different tables of form factors: amplitudes agree to 3 % of strong ones, intensities to twice that.
        if f > 1.0:
            assert r["F_A"] == pytest.approx(f, rel=0.03), key
        if i > 0.01 * strongest:
            assert r["intensity"] == pytest.approx(i, rel=0.1, abs=0.01 * strongest), key
    # None is missing that is strong, on the detector and near the sphere.
    for key, (i, f, vector, error) in expected.items():
        x, y = stretch @ vector[:2] / scale
        if abs(error) < s_max * 0.99 and f > 0.05 and i > 1e-6 and 1 < 80.9 + x < 148 and 1 < 57.3 - y < 118:
            assert key in ours, key
    image = io.imread(out)
    rows, columns = numpy.mgrid[:120, :150]
    drawn = sum(r["intensity"] / (2 * numpy.pi * 1.69) * numpy.exp(
        -((rows - r["row_px"]) ** 2 + (columns - r["column_px"]) ** 2) / 3.38) for r in ours.values())
    # A Gaussian at a pixel's middle and its mean over the pixel differ by about 1 / (24 sigma^2).
    assert numpy.abs(image - drawn).max() < 0.08 * image.max()
    assert image.sum() == pytest.approx(drawn.sum(), rel=2e-3)


def test_reflections_lie_where_bragg_puts_them(unmix, shared):
    """Zone reflections of gold: |g| = sqrt(h^2 + k^2 + l^2) / a, and their angles, to 1e-6."""
    result = unmix("pattern", shared / "cif" / "Au-Gold.cif", "--zone", "1,1,2", "--rocking", "kinematic")
    a, lam = result["crystal"]["cell"][0], wavelength(200)
    zone = [r for r in result["reflections"] if r["hkl"][0] + r["hkl"][1] + 2 * r["hkl"][2] == 0]
    assert len(zone) > 30
    scale, center = result["scale_per_A"], result["center"]
    for r in zone:
        bragg = numpy.arcsin(lam * numpy.sqrt(numpy.square(r["hkl"]).sum()) / (2 * a))
        radius = numpy.hypot(r["row_px"] - center[0], r["column_px"] - center[1]) * scale
        assert radius == pytest.approx(2 * numpy.sin(bragg) / lam, rel=1e-6)
        assert abs(sum(r["hkl"][i] for i in (0, 1)) + 2 * r["hkl"][2]) == 0
    first = zone[0]
    for r in zone[1:]:
        cosine = numpy.dot(first["hkl"], r["hkl"]) / numpy.linalg.norm(first["hkl"]) / numpy.linalg.norm(r["hkl"])
        seen = (first["x_per_A"] * r["x_per_A"] + first["y_per_A"] * r["y_per_A"]) / first["g_per_A"] / r["g_per_A"]
        assert seen == pytest.approx(cosine, abs=1e-6)


def test_every_structure_file_loads(unmix, shared):
    """Or refuses with one line. Numbers of atoms are those that the formula and Z of the structure give."""
    atoms = {"Al": 4, "Ag-Silver": 4, "Fe-Iron-alpha": 2, "GaAs_mp-2534_conventional_standard": 8,
             "GaAs_mp-8883_conventional_standard": 4, "LiMn2O4": 56, "Li2MnO3": 24, "MgO-Periclase": 8, "Mg-Magnesium": 2,
             "Si-Silicon": 8, "T1": 22, "thetaprime": 6, "beta_double_prime_Mg5Si6_Andersen1998": 22, "graphite": 4,
             "g-phaseLP": 188}  # Mn6Ni16Si7: 116 places, 24 of them shared by four elements
    groups = {"Al": 225, "GaAs_felix": 216, "GaAs_mp-8883_conventional_standard": 186, "LiMn2O4": 227, "T1": 191,
              "Ni-Nickel": 194, "thetaprime": 139, "g-phaseLP": 225}
    files = sorted((shared / "cif").glob("*.cif")) + sorted((shared / "simulation").rglob("*.cif"))
    assert len(files) > 30
    for path in files:
        done = unmix.run("pattern", path, "--json")
        if done.returncode != 0:
            assert len(done.stderr.strip().splitlines()) == 1, done.stderr
            print(done.stderr)
            continue
        assert done.stderr == "", done.stderr
        crystal = json.loads(done.stdout)["crystal"]
        if path.parent.name == "cif":
            assert crystal["atoms"] == atoms.get(path.stem, crystal["atoms"]), path
            assert crystal["space_group"] == groups.get(path.stem, crystal["space_group"]), path
        # The file's group is that of its atoms, but for files that list all atoms (1) and those whose atoms happen to
        # sit more symmetrically than the group asks for.
        if path.stem not in ("graphite", "graphite_diffsims", "thetaprime"):
            assert crystal["file_space_group"] in (0, 1, crystal["space_group"]), path


# ---- another program's kinematic patterns -------------------------------------------------------------------------

KINEMATIC = {"Mg": ("Mg.cif", {"Mg": 2}), "Ni_FCC": ("Ni.cif", {"Ni": 4}), "Ni4W": ("Ni4W.cif", {"Ni": 8, "W": 2}),
             "ReS2": ("ReS2.cif", {"Re": 4, "S": 8})}
NAME = re.compile(r"(.+?)_([\d.]+)_([\d.]+)_([\d.]+)_max_angle_([\d.]+)_s_max_([\d.]+)_voltage_(\d+)")


def single_discs(image):
    """Centres (x, y) and grey values of discs that no other covers in part: one grey value, the same when turned."""
    found = []
    for region in measure.regionprops(measure.label(image, background=0)):
        inside = min(region.bbox[:2]) > 0 and max(region.bbox[2:]) < 256
        whole = region.area < 4 or numpy.array_equal(region.image, numpy.rot90(region.image))
        if inside and whole:
            found.append((*region.centroid[::-1], image[tuple(region.coords[0])]))
    return numpy.array(found)


def test_patterns_of_another_program(unmix, shared):
    """Its convention: Bunge angles as ours, crystal frame z along c and y along b* (ours: x along a, z along c*), zone
    axis towards the source, x to the right, y up, s_max in 1/nm, 128 px = the maximal angle in degrees. Its atoms scatter
    alike at all angles and grey is |F| (1 - |s|/s_max): so |F| is divided by the mean scattering factor."""
    files = sorted((shared / "simulation" / "kinematic").glob("*.tif"))
    assert len(files) == 21
    total = 0
    for path in files:
        name, *numbers = NAME.fullmatch(path.stem).groups()
        e1, e2, e3, max_angle, s_max, voltage = map(float, numbers)
        cif = path.parent / KINEMATIC[name][0]
        axes = axes_of(unmix("pattern", cif)["crystal"]["cell"])
        z = axes[2] / numpy.linalg.norm(axes[2])
        y = numpy.cross(axes[2], axes[0])
        y /= numpy.linalg.norm(y)
        to_theirs = numpy.array([numpy.cross(y, z), y, z])
        angles = numpy.radians([e1, e2, e3])
        cos, sin = numpy.cos(angles), numpy.sin(angles)
        rotation = (numpy.array([[cos[0], -sin[0], 0], [sin[0], cos[0], 0], [0, 0, 1]])
                    @ numpy.array([[1, 0, 0], [0, cos[1], -sin[1]], [0, sin[1], cos[1]]])
                    @ numpy.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])) @ to_theirs
        result = unmix("pattern", cif, "--matrix=" + ",".join(f"{v:.12g}" for v in rotation.ravel()), "--voltage", voltage,
                       "--center", "127.5,127.5", "--scale", numpy.radians(max_angle) / wavelength(voltage) / 128,
                       "--sigma", 1, "--smax", s_max / 10, "--rocking", "linear")
        ours = {key: numpy.array([r[key] for r in result["reflections"]])
                for key in ("column_px", "row_px", "F_A", "s_per_A", "g_per_A")}
        mean = sum(n * published_f(el, ours["g_per_A"] / 2) for el, n in KINEMATIC[name][1].items())
        grey = ours["F_A"] / mean * (1 - numpy.abs(ours["s_per_A"]) / (s_max / 10))
        image = io.imread(path)
        discs = single_discs(image)
        bright = discs[discs[:, 2] > 0.05 * image.max()]
        # Leave out the direct beam.
        bright = bright[numpy.hypot(bright[:, 0] - 127.5, bright[:, 1] - 127.5) > 3]
        apart = numpy.hypot(bright[:, :1] - ours["column_px"], bright[:, 1:2] - ours["row_px"])
        matched = (apart.min(axis=1) <= 1.5).mean() if len(bright) > 0 else 1.0
        # All places of ours within the picture: what is grey there, against what should be.
        inside = numpy.hypot(ours["column_px"] - 127.5, ours["row_px"] - 127.5) < 127
        there = ndimage.maximum_filter(image, 3)[ours["row_px"].round().astype(int).clip(0, 255),
                                                 ours["column_px"].round().astype(int).clip(0, 255)]
        rank = scipy.stats.spearmanr(there[inside], grey[inside])[0]
        found = (there[inside & (grey > 0.15 * grey.max())] > 0).mean()
        print(f"{path.stem}: {len(bright)} single discs, {matched:.3f} matched; {inside.sum()} of ours, {found:.3f} of the "
              f"strong ones there, rank {rank:.3f}")
        assert found >= 0.95 and rank > 0.9
        assert matched >= 0.95
        total += len(bright)
    # Where discs overlap (Ni at 7 degrees) few are whole.
    assert total > 1500


def test_pattern_of_diffsims(unmix, shared, tmp_path):
    """Graphite, 200 kV, Euler (0, 90, 90), Lorentzian of s_max 0.1, sigma 1.4 px."""
    theirs = numpy.load(shared / "simulation" / "old_simulation.npy")
    unmix("pattern", shared / "cif" / "graphite.cif", "--euler", "0,90,90", "--size", "128x128", "--scale", 0.0262,
          "--rocking", "lorentzian", "--smax", 0.1, "--sigma", 1.4, "--direct-beam", 0, "-o", tmp_path / "x.tif")
    correlation = numpy.corrcoef(io.imread(tmp_path / "x.tif").ravel(), theirs.ravel())[0, 1]
    print(f"correlation {correlation:.4f}")
    assert correlation > 0.95


# ---- precession ----------------------------------------------------------------------------------------------------

def asymmetry(result, most):
    """Sum |I(g) - I(-g)| / sum (I(g) + I(-g)) over reflections of the zone up to |g| = most."""
    spots = {tuple(r["hkl"]): r["intensity"] for r in result["reflections"]
             if r["hkl"][0] + r["hkl"][1] == 0 and r["g_per_A"] < most}
    pairs = [(spots[k], spots.get(tuple(-i for i in k), 0.0)) for k in spots]
    return sum(abs(a - b) for a, b in pairs) / sum(a + b for a, b in pairs)


@pytest.mark.parametrize("rocking", ["two-beam", "kinematic"])
@pytest.mark.parametrize("tilt", ["5,0", "0,5", "3.5,3.5"])
def test_precession_keeps_the_symmetry_of_a_mistilted_zone(unmix, tmp_path, rocking, tilt):
    """Aluminium [110], 1 degree, mean over three thicknesses."""
    path = write_cif(tmp_path / "al.cif", [4.0495] * 3 + [90] * 3,
                     [("Al", 0, 0, 0, 0.8), ("Al", 0, .5, .5, 0.8), ("Al", .5, 0, .5, 0.8), ("Al", .5, .5, 0, 0.8)])

    def index(most, *options):
        return numpy.mean([asymmetry(unmix("pattern", path, "--zone", "1,1,0", "--rocking", rocking, "--smax", 0.1,
                                           "--thickness", t, *options), most) for t in (30, 50, 80)])

    for most in (1.0, 1.5):
        aligned, still = index(most), index(most, "--tilt", tilt)
        precessed = index(most, "--tilt", tilt, "--precession", numpy.radians(1) * 1e3)
        print(f"{rocking} {tilt} |g| < {most}: asymmetry aligned {aligned:.1e}, mistilted {still:.3f}, with precession "
              f"{precessed:.4f}: {still / precessed:.1f} times less")
        assert aligned < 1e-6 and still > 0.3
        assert still > (5 if most <= 1 else 4) * precessed


ZONES = [("al", "0,0,1"), ("al", "0,1,1"), ("gaas", "1,-1,0"), ("gaas-wurtzite", "1,0,0"), ("mgo", "0,0,1"), ("si", "0,1,1"),
         ("t1", "1,0,0"), ("theta-prime", "1,0,0"), ("beta-double-prime", "0,1,0")]
DEGREE = numpy.radians(1) * 1e3
# Both sides of the cone cross Bragg's condition for |g| < 2 (phi - tilt) / lambda; nine tenths of it, so that none is at the edge.
REACH = round(0.9 * 2 * (DEGREE - 5) * 1e-3 / wavelength(200), 3)


def opposite(result, precession, most):
    """Independently of the program: R of all pairs up to `most`, and with I/L of those that are swept."""
    spots = {tuple(r["hkl"]): r for r in result["reflections"] if r["g_per_A"] <= most}
    sums = numpy.zeros(4)
    for key, r in spots.items():
        other = spots.get(tuple(-i for i in key))
        if other is None:
            continue
        sums[:2] += abs(r["intensity"] - other["intensity"]), r["intensity"] + other["intensity"]
        at = [abs(x["s_per_A"]) / max(numpy.hypot(x["x_per_A"], x["y_per_A"]) * numpy.tan(precession * 1e-3), 1e-30)
              for x in (r, other)]
        if max(at) < 0.95:
            a, b = (x["intensity"] * numpy.sqrt(1 - u * u) for x, u in zip((r, other), at))
            sums[2:] += abs(a - b), a + b
    return sums[0] / sums[1], (sums[2] / sums[3] if sums[3] else None)


@pytest.mark.parametrize("name, zone", ZONES)
def test_precession_keeps_the_symmetry_of_many_crystals(unmix, name, zone):
    """5 mrad off the zone, 20 to 120 nm. Without precession R swings with the thickness (Pendelloesung) between 0.15 and 0.98,
    so the plain index is judged by its mean. What precession leaves is the time that each side spends near Bragg's
    condition; with that taken out, every single thickness is better by far more than five."""
    for tilt in ("5,0", "3.535534,3.535534"):
        plain, corrected = [], []
        for thickness in (20, 40, 60, 80, 100, 120):
            plain.append([])
            whole = []
            for precession in (0, DEGREE):
                result = unmix("pattern", name, f"--zone={zone}", "--tilt", tilt, "--thickness", thickness, "--precession",
                               precession, "--symmetry", 1.5, "--size", "512x512", "--scale", 0.01)
                said = result["opposite"]
                r, of_rates = opposite(result, precession, 1.5)
                assert said["difference"] == pytest.approx(r, rel=1e-9)
                assert said["corrected_difference"] == (of_rates and pytest.approx(of_rates, rel=1e-9))
                assert said["within_per_A"] == 1.5 and said["pairs"] >= said["swept_pairs"] >= (4 if precession else 0)
                whole.append(of_rates or r)
                plain[-1].append(opposite(result, precession, REACH)[0])
            corrected.append(whole[0] / whole[1])
        still, precessed = numpy.mean(plain, axis=0)
        print(f"{name} [{zone}] tilted {tilt}: R {still:.3f} -> {precessed:.3f}, {still / precessed:.1f} times less for |g| < "
              f"{REACH:.2f}; corrected {min(corrected):.0f} to {max(corrected):.0f} times less for |g| < 1.5")
        assert still > 5 * precessed
        assert min(corrected) > 5
