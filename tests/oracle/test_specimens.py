"""What built-in specimens are made of, against structure files; and what precession does to them."""
import numpy
import pytest

# Built-in structure, file, zone axes that the specimens see it along. Files of mp-... are computed (their cells are 1.7 %
# too large, as such cells are) and have no Debye-Waller factors.
STRUCTURES = [
    ("al", "Al-Aluminum", "0,0,1 0,1,1 1,1,1 1,1,2"),
    ("gaas", "GaAs_felix", "1,-1,0"),
    ("gaas", "GaAs_mp-2534_conventional_standard", "1,-1,0"),
    ("gaas-wurtzite", "GaAs_mp-8883_conventional_standard", "1,0,0"),
    ("mgo", "MgO-Periclase", "0,0,1 1,1,0"),
    ("si", "Si-Silicon", "0,0,1 1,1,0"),
    ("theta-prime", "thetaprime", "0,0,1 1,0,0"),
    ("t1", "T1", "0,0,1 1,0,0 2,1,0"),
    ("t1", "T1_neutral", "0,0,1 1,0,0 2,1,0"),
    ("beta-double-prime", "beta_double_prime_Mg5Si6_Andersen1998", "0,1,0 1,0,0 0,0,1"),
]


@pytest.mark.parametrize("name, file, zones", STRUCTURES)
def test_built_in_structures_are_those_of_files(unmix, shared, name, file, zones):
    for zone in zones.split():
        ours, theirs = (unmix("pattern", what, f"--zone={zone}", "--precession", 17.5, "--thickness", 30)
                        for what in (name, shared / "cif" / f"{file}.cif"))
        for key in ("atoms", "space_group"):
            assert ours["crystal"][key] == theirs["crystal"][key]
        cells = numpy.array([ours["crystal"]["cell"], theirs["crystal"]["cell"]])
        assert numpy.abs(cells[0, :3] / cells[1, :3] - 1).max() < 0.02
        assert numpy.abs(cells[0, 3:] - cells[1, 3:]).max() < 0.01
        a, b = ({tuple(r["hkl"]): r["intensity"] for r in one["reflections"]} for one in (ours, theirs))
        both = sorted(set(a) | set(b))
        found = numpy.corrcoef([a.get(k, 0) for k in both], [b.get(k, 0) for k in both])[0, 1]
        print(f"{name} {file} [{zone}]: cells {numpy.abs(cells[0, :3] / cells[1, :3] - 1).max():.2%}, correlation {found:.4f}")
        assert found > 0.98
        strong = [{k for k in one if one[k] > 0.2 * max(one.values())} for one in (a, b)]
        assert strong[0] <= set(b) and strong[1] <= set(a)


# International Tables for Crystallography C, table 4.3.2.3: f = sum a exp(-b s^2), in angstrom.
IT_C = {"Mg": ((0.1130, 0.1356), (0.5575, 1.3579), (0.9046, 6.9255), (2.1580, 32.3165), (1.4735, 92.1138)),
        "Si": ((0.0567, 0.0582), (0.3365, 0.6155), (0.8104, 3.2522), (2.4960, 16.7929), (2.1186, 57.6767))}


def test_magnesium_silicide_is_antifluorite(unmix):
    """No file of it is at hand: a = 6.35 A (B 0.5 for Si, 0.7 for Mg), |F| from what an antifluorite must have."""
    result = unmix("pattern", "mg2si", "--zone", "1,-1,0")
    assert result["crystal"]["cell"] == [6.35] * 3 + [90] * 3
    assert (result["crystal"]["atoms"], result["crystal"]["space_group"]) == (12, 225)
    found = {tuple(r["hkl"]): r["F_A"] for r in result["reflections"]}

    def expected(hkl):
        s = numpy.linalg.norm(hkl) / 6.35 / 2
        si, mg = (sum(a * numpy.exp(-b * s * s) for a, b in IT_C[element]) * numpy.exp(-debye * s * s)
                  for element, debye in (("Si", 0.5), ("Mg", 0.7)))
        return 4 * abs(si + 2 * mg * (0 if sum(hkl) % 2 else (-1) ** (sum(hkl) // 2)))

    strong = expected((2, 2, 0))
    for hkl in ((1, 1, 1), (0, 0, 2), (2, 2, 0), (1, 1, 3), (2, 2, 2), (0, 0, 4), (3, 3, 1)):
        assert found[hkl] / found[2, 2, 0] == pytest.approx(expected(hkl) / strong, abs=0.03)
    assert all(abs(h - k) % 2 == 0 == (k - l) % 2 for h, k, l in found)


@pytest.mark.parametrize("name", ["beta-prime", "al.cif", "AL"])
def test_other_names_are_files(unmix, tmp_path, name):
    assert name in unmix.fails("pattern", name, cwd=tmp_path)


# ---- precession ----------------------------------------------------------------------------------------------------

def asymmetries(pattern, scale):
    """For 0.15 < |g| < 0.9 1/A: sum |I(q) - I(-q)| / sum (I(q) + I(-q)), and the same of squares, the share of power. Both sides of
    a cone of 1 degree that is 5 mrad off cross Bragg's condition up to |g| = 2 (phi - tilt) / lambda = 0.99 1/A; the 400 of
    aluminium, at 0.988, is touched by one side only and no matter of symmetry (docs/crystal.md)."""
    half = pattern[1:, 1:]  # the direct beam is at (ky / 2, kx / 2)
    turned = half[::-1, ::-1]
    y, x = numpy.mgrid[:half.shape[0], :half.shape[1]]
    g = numpy.hypot(y - half.shape[0] // 2, x - half.shape[1] // 2) * scale
    off, all_of = ((half + sign * turned)[(g > 0.15) & (g < 0.9)] for sign in (-1, 1))
    return numpy.array([numpy.abs(off).sum() / all_of.sum(), (off ** 2).sum() / (all_of ** 2).sum()])


WIRE = {"bend_mrad": 0, "film_nm": 0, "segment_nm": 1e5, "ny": 36, "nx": 2}
FOIL = {"stage": 1, "number_density": 1, "ny": 2, "nx": 2}
SPECIMENS = {"zinc blende": ("nanowire", {**WIRE, "wurtzite_nm": 0}), "wurtzite": ("nanowire", {**WIRE, "wurtzite_nm": 1000}),
             **{f"aluminium foil of {t} nm": ("precipitates", {**FOIL, "thickness_nm": t}) for t in (20, 40, 60, 80, 120)}}


@pytest.mark.parametrize("name", SPECIMENS)
def test_precession_keeps_the_symmetry_of_mistilted_specimens(unmix, tmp_path, name):
    """1 degree against none at 5 mrad off the zone, mean pattern of the scan; the mean over directions of the tilt counts."""
    kind, values = SPECIMENS[name]
    index = {}
    for tilt in ((0, 0), (5, 0), (0, 5), (3.5, 3.5)):
        for precession in (0, numpy.radians(1) * 1e3):
            chosen = {**values, "tilt_x_mrad": tilt[0], "tilt_y_mrad": tilt[1], "precession_mrad": precession,
                      "diffuse_nm": 0}
            unmix("simulate", kind, "-o", tmp_path / "s.npy", "--no-noise", "--dtype", "f32", "--force",
                  *(word for key, value in chosen.items() for word in ("--set", f"{key}={value}")))
            index[tilt, precession > 0] = asymmetries(numpy.load(tmp_path / "s.npy").mean((0, 1), dtype=float), 0.0325)
        still, precessed = (index[tilt, way] for way in (False, True))
        print(f"{name} tilted {tilt}: asymmetry {still[0]:.3f} -> {precessed[0]:.3f}, of power {still[1]:.3f} -> "
              f"{precessed[1]:.4f}")
        if tilt == (0, 0):
            assert still.max() < 1e-5 and precessed.max() < 1e-5
        else:
            assert still[0] > 0.4 and still[0] > 4.5 * precessed[0]
    still, precessed = (numpy.mean([index[tilt, way] for tilt, _ in index if tilt != (0, 0)], axis=0) for way in (False, True))
    print(f"{name}: {still[0] / precessed[0]:.1f} times less, {still[1] / precessed[1]:.0f} times of power")
    assert (still > 5 * precessed).all()
