"""A complete scan from an instrument (Merlin, AuPd): sums that the file itself stores, singular values and
NMF against NumPy and scikit-learn."""
import h5py
import numpy
import pytest

# Stated with the file; computed by its originator's reader.
SINGULAR_VALUES = [10569.3, 1645.8, 1122.1, 292.5, 255.0, 233.3, 229.1, 220.5]


@pytest.fixture(scope="module")
def scan(shared):
    path = shared / "fpd" / "FPD_HDF5.hdf5"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def test_sums_equal_those_in_the_file(unmix, scan, tmp_path):
    done = unmix("image", scan, "-o", tmp_path / "images")
    assert done["sum"] == 1304983 and isinstance(done["sum"], int)
    assert done["max"] == 314
    with h5py.File(scan) as file:
        stored_image = file["fpd_expt/fpd_sum_im/data"][()].squeeze()
        stored_pattern = file["fpd_expt/fpd_sum_dif/data"][()].squeeze()
    with numpy.load(tmp_path / "images" / "images.npz") as file:
        image, pattern = file["sum_map"], file["sum_pattern"]
    assert image.shape == (16, 16) and (image == stored_image).all()
    assert pattern.shape == (256, 256) and (pattern == stored_pattern).all()


def test_singular_values(unmix, scan, tmp_path):
    done = unmix("svd", scan, "-k", 8, "--weights", "none", "-o", tmp_path / "svd.npz")
    with h5py.File(scan) as file:
        x = file["fpd_expt/fpd_data/data"][()].reshape(256, -1).astype(float)
    # Through the 256 x 256 Gram matrix: seconds instead of a minute, exact to 1e-6 here.
    exact = numpy.sqrt(numpy.linalg.eigvalsh(x @ x.T)[::-1])
    assert numpy.allclose(exact[:8], SINGULAR_VALUES, atol=0.06)
    assert numpy.allclose(done["singular_values"][:8], exact[:8], rtol=1e-3)
    assert abs(done["total_variance"] - (x ** 2).sum()) < 1e-9 * (x ** 2).sum()


def test_nmf_after_binning(unmix, scan, tmp_path):
    result = tmp_path / "nmf.npz"
    done = unmix("nmf", scan, "-k", 3, "--weights", "none", "--bin-signal", 4, "-o", result)
    with h5py.File(scan) as file:
        x = file["fpd_expt/fpd_data/data"][()].reshape(256, 64, 4, 64, 4).sum(axis=(2, 4), dtype=float)
    x = x.reshape(256, -1)
    with numpy.load(result) as file:
        model = file["loadings"].astype(float) @ file["factors"].astype(float).T
    error = numpy.linalg.norm(x - model)
    assert abs(done["frobenius_error"] - error) < 1e-4 * error
    # The best rank-3 matrix of any sign leaves 999.390; scikit-learn's NMF from nndsvd 999.896.
    assert 999.390 - 1e-3 <= error <= 999.95


def test_a_run_of_the_real_scan_says_what_it_cannot_support(unmix, shared, tmp_path):
    """From file to report, unattended; with so few positions the limits are the result."""
    plan = tmp_path / "plan.ini"
    plan.write_text(f"[input]\nfile = {shared}/fpd/FPD_HDF5.hdf5\n[prep]\nbin-signal = 4\nmask-beam = 8\n[identify]\nrun = no\n"
                    f"[measure]\nrun = yes\n[output]\nfolder = {tmp_path}/out\n")
    made = unmix("run", plan, "--quiet")
    limits = " ".join(made["study"]["report"]["limits"])
    assert "The evidence allows" in limits and "have no name" in limits and "thickness is not known" in limits
    assert "fewer than 10 particles" in limits
    page = (tmp_path / "out" / "report.html").read_text()
    assert "What limits this result" in page and "Methods, for a paper" in page
