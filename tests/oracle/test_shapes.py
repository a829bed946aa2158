"""Image primitives of the library (include/unmix/shapes.h) against SciPy and scikit-image, called as a C program would."""
import ctypes
import math
import pathlib

import numpy
import pytest
from scipy import ndimage
from skimage import feature, filters, measure, segmentation

I64, F64, PTR = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
SHAPES = [(1, 1), (1, 17), (23, 1), (5, 7), (64, 48), (97, 130)]


class Point(ctypes.Structure):
    _fields_ = [("y", F64), ("x", F64), ("value", F64), ("sigma", F64)]


class Points(ctypes.Structure):
    _fields_ = [("ctx", PTR), ("count", I64), ("at", ctypes.POINTER(Point))]


class Blobs(ctypes.Structure):
    _fields_ = [("least", F64), ("most", F64), ("steps", I64), ("ratio", F64), ("threshold", F64), ("overlap", F64)]


class Region(ctypes.Structure):
    _fields_ = [("area", I64), ("y", F64), ("x", F64), ("diameter", F64), ("major", F64), ("minor", F64),
                ("orientation", F64), ("y0", I64), ("x0", I64), ("y1", I64), ("x1", I64), ("border", ctypes.c_bool)]


class Library:
    def __init__(self, path):
        self.so = ctypes.CDLL(str(path))
        self.ctx = PTR()
        assert self.so.um_context_create(ctypes.byref(self.ctx)) == 0
        self.so.um_context_message.restype = ctypes.c_char_p
        self.so.um_context_message.argtypes = [PTR]

    def status(self, name, *arguments):
        given = []
        for one in arguments:
            if isinstance(one, numpy.ndarray):
                assert one.flags.c_contiguous
                given.append(PTR(one.ctypes.data))
            elif isinstance(one, (float, numpy.floating)):
                given.append(F64(one))
            elif isinstance(one, (int, numpy.integer)) and not isinstance(one, bool):
                given.append(I64(one))
            else:
                given.append(one)
        return getattr(self.so, name)(self.ctx, *given)

    def call(self, name, *arguments):
        status = self.status(name, *arguments)
        assert status == 0, self.so.um_context_message(self.ctx).decode()

    def points(self, name, *arguments):
        out = ctypes.POINTER(Points)()
        self.call(name, *arguments, ctypes.byref(out))
        found = [(p.y, p.x, p.value, p.sigma) for p in out.contents.at[:out.contents.count]]
        self.so.um_points_free(out)
        return numpy.array(found).reshape(-1, 4)


@pytest.fixture(scope="module")
def lib(unmix):
    return Library(pathlib.Path(unmix.path).parent / "libunmix.so")


def rng(*seed):
    return numpy.random.default_rng([99, *seed])


def blotches(shape, seed, level=0.0):
    return (ndimage.gaussian_filter(rng(seed).normal(size=shape), 2) > level * 0.14).astype("u1")


def label(lib, image, connectivity):
    out = numpy.full(image.shape, -7, "i4")
    count = I64()
    lib.call("um_label", *image.shape, image, ctypes.c_int(connectivity), out, ctypes.byref(count))
    return out, count.value


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_are_exactly_those_of_scikit_image(lib, shape, connectivity):
    for seed in range(4):
        for image in (blotches(shape, seed), (rng(seed).random(shape) < 0.5).astype("u1")):
            ours, count = label(lib, image, connectivity)
            want = measure.label(image, connectivity=1 if connectivity == 4 else 2)
            assert numpy.array_equal(ours, want) and count == want.max()


@pytest.mark.parametrize("shape", SHAPES)
def test_distances_are_exact(lib, shape):
    for seed, part in enumerate((0.02, 0.3, 0.9, 0.999)):
        image = (rng(seed, 1).random(shape) < part).astype("u1")
        image.flat[rng(seed).integers(image.size)] = 0
        out = numpy.empty(shape)
        lib.call("um_distance_transform", *shape, image, out)
        assert numpy.array_equal(out, ndimage.distance_transform_edt(image))
    lib.call("um_distance_transform", *shape, numpy.ones(shape, "u1"), out)
    assert numpy.isinf(out).all()


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.0, 3.7])
def test_dilation_is_that_by_a_disc(lib, radius):
    image = (rng(5).random((40, 61)) < 0.01).astype("u1")
    out = numpy.empty_like(image)
    lib.call("um_dilate", 40, 61, image, radius, out)
    r = int(radius) + 1
    disc = numpy.hypot(*numpy.mgrid[-r:r + 1, -r:r + 1]) <= radius
    assert numpy.array_equal(out, ndimage.binary_dilation(image, disc))


def watershed(lib, elevation, markers, inside, connectivity):
    out = numpy.empty(elevation.shape, "i4")
    lib.call("um_watershed", *elevation.shape, elevation, markers, inside, ctypes.c_int(connectivity), out)
    return out


@pytest.mark.parametrize("connectivity", [4, 8])
def test_watershed_is_that_of_scikit_image(lib, connectivity):
    """Pixel by pixel, on plateaus too: ties go by the time when a pixel is reached, those of markers as in its heap."""
    for seed in range(6):
        shape = (70, 91)
        smooth = ndimage.gaussian_filter(rng(seed, 2).normal(size=shape), 3)
        spots = (rng(seed, 3).random(shape) < 0.005).astype("u1")
        markers = measure.label(spots, connectivity=2).astype("i4")
        inside = blotches(shape, seed, -1.0)
        markers[inside == 0] = 0
        for elevation in (smooth, numpy.round(smooth * 20), numpy.zeros(shape)):
            ours = watershed(lib, elevation, markers, inside, connectivity)
            want = segmentation.watershed(elevation, markers, connectivity=1 if connectivity == 4 else 2, mask=inside > 0)
            assert numpy.array_equal(ours, want)


def test_the_classic_split_of_touching_discs(lib):
    y, x = numpy.mgrid[:80, :80]
    image = ((numpy.hypot(y - 28, x - 28) < 16) | (numpy.hypot(y - 44, x - 52) < 20)).astype("u1")
    distance = numpy.empty(image.shape)
    lib.call("um_distance_transform", 80, 80, image, distance)
    peaks = lib.points("um_local_maxima", 80, 80, distance, 7, 0.0, 0)
    markers = numpy.zeros(image.shape, "i4")
    for i, (py, px, *_) in enumerate(peaks):
        markers[int(py), int(px)] = i + 1
    ours = watershed(lib, -distance, markers, image, 4)
    want = segmentation.watershed(-distance, markers, mask=image > 0)
    assert ours.max() == 2 and numpy.mean(ours == want) > 0.995


METHODS = ["otsu", "li", "triangle", "isodata", "yen"]


def threshold(lib, method, values, bins=256):
    level = F64()
    lib.call("um_threshold", ctypes.c_int(METHODS.index(method)), values, values.size, ctypes.c_int(bins),
             ctypes.byref(level))
    return level.value


@pytest.mark.parametrize("method", METHODS)
def test_thresholds_are_those_of_scikit_image(lib, method):
    reference = getattr(filters, "threshold_" + method)
    for seed in range(8):
        r = rng(seed, 4)
        images = [r.normal(size=(50, 60)), r.gamma(1.5, 3, (40, 50)) + 7, -r.gamma(2, 3, (40, 50)),
                  numpy.concatenate([r.normal(0, 1, 1500), r.normal(9, 2, 700)]), r.poisson(3, (30, 40)).astype(float)]
        for image in images:
            want = float(reference(image.copy()))
            assert threshold(lib, method, image) == pytest.approx(want, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_thresholds_of_what_has_none(lib, method):
    assert threshold(lib, method, numpy.full(9, 3.5)) == 3.5
    assert threshold(lib, method, numpy.array([numpy.nan, 2.0, numpy.inf])) == 2.0
    assert 1 <= threshold(lib, method, numpy.array([1.0, 1 + 1e-16, numpy.nextafter(1, 2)])) <= 1.1
    for values in (numpy.array([]), numpy.array([numpy.nan])):
        assert lib.status("um_threshold", ctypes.c_int(METHODS.index(method)), values, values.size, ctypes.c_int(256),
                          ctypes.byref(F64())) != 0


def test_otsu_without_bins_is_the_best_of_all_levels(lib):
    values = rng(6).gamma(1.5, 2, 200)
    best = max(numpy.unique(values)[:-1], key=lambda t: (values <= t).sum() * (values > t).sum()
               * (values[values <= t].mean() - values[values > t].mean()) ** 2)
    above = values[values > best].min()
    assert threshold(lib, "otsu", values, 0) == pytest.approx((best + above) / 2, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_filters_are_those_of_scipy(lib, shape):
    image = rng(7).normal(size=shape)
    out = numpy.empty(shape)
    for sigma in (0.7, 2.5, 6.0):
        for order in ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 1)):
            lib.call("um_filter_gauss", *shape, image, sigma, ctypes.c_int(order[0]), ctypes.c_int(order[1]), out)
            assert out == pytest.approx(ndimage.gaussian_filter(image, sigma, order), abs=1e-12)
    for half in (0, 1, 3, 50):
        for least, reference in ((False, ndimage.maximum_filter), (True, ndimage.minimum_filter)):
            lib.call("um_filter_extreme", *shape, image, half, ctypes.c_bool(least), out)
            assert numpy.array_equal(out, reference(image, 2 * half + 1))
    lib.call("um_filter_sobel", *shape, image, out)
    assert out == pytest.approx(filters.sobel(image), abs=1e-12)


def spots(seed, shape=(70, 90), count=25, noise=0.02):
    r = rng(seed, 8)
    image = numpy.zeros(shape)
    y, x = numpy.mgrid[:shape[0], :shape[1]]
    for _ in range(count):
        cy, cx, s = r.uniform(0, shape[0]), r.uniform(0, shape[1]), r.uniform(1, 4)
        image += r.uniform(0.3, 1) * numpy.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2 / s**2)
    return image + r.normal(0, noise, shape)


@pytest.mark.parametrize("distance,border", [(1, 0), (2, 0), (3, 5), (8, 1)])
def test_local_maxima_are_those_of_scikit_image(lib, distance, border):
    for seed in range(4):
        for image in (spots(seed), numpy.round(spots(seed) * 8)):
            ours = lib.points("um_local_maxima", *image.shape, image, distance, 0.1, border)
            want = feature.peak_local_max(image, min_distance=distance, threshold_abs=0.1, exclude_border=border)
            assert numpy.array_equal(ours[:, :2], want)
    assert len(lib.points("um_local_maxima", 8, 8, numpy.ones((8, 8)), 2, 0.0, 0)) == 0


@pytest.mark.parametrize("half,least", [(1, 0.05), (2, 0.2), (4, 0.5)])
def test_minmax_peaks(lib, half, least):
    """As HyperSpy's find_peaks_minmax(), before it rounds to whole pixels."""
    for seed in range(4):
        for image in (spots(seed), numpy.round(spots(seed) * 8)):
            ours = lib.points("um_peaks_minmax", *image.shape, image, half, least)
            top, low = (f(image, 2 * half + 1) for f in (ndimage.maximum_filter, ndimage.minimum_filter))
            labels, count = ndimage.label((image == top) & (top - low > least))
            want = ndimage.center_of_mass(numpy.ones(image.shape), labels, range(1, count + 1))
            assert numpy.array(sorted(map(tuple, ours[:, :2]))) == pytest.approx(numpy.array(sorted(want)))


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.5, 4.0])
def test_matching_a_disc_is_match_template(lib, radius):
    image = spots(1, noise=0.05) + 3
    half = math.ceil(radius) + 1
    disc = (numpy.hypot(*numpy.mgrid[-half:half + 1, -half:half + 1]) <= radius).astype(float)
    out = numpy.empty(image.shape)
    lib.call("um_match_disc", *image.shape, image, radius, out)
    assert out == pytest.approx(feature.match_template(image, disc, pad_input=True), abs=1e-8)
    lib.call("um_match_disc", 9, 9, numpy.ones((9, 9)), 1.0, numpy.empty((9, 9)))


@pytest.mark.parametrize("kind", ["log", "dog"])
def test_blobs_are_those_of_scikit_image(lib, kind):
    for seed in range(5):
        image = spots(seed)
        options = Blobs(1.0, 6.0, 8, 1.5, 0.05, 0.5)
        ours = lib.points("um_blobs_" + kind, *image.shape, image, ctypes.byref(options))
        if kind == "log":
            want = feature.blob_log(image, 1.0, 6.0, 8, 0.05, 0.5)
        else:
            want = feature.blob_dog(image, 1.0, 6.0, 1.5, 0.05, 0.5)
        assert len(ours) > 10
        assert numpy.array(sorted(map(tuple, ours[:, [0, 1, 3]]))) == pytest.approx(numpy.array(sorted(map(tuple, want))))


def test_blobs_refuse_sigmas_that_are_none(lib):
    out = ctypes.POINTER(Points)()
    for options in (Blobs(0, 5, 5, 1.6, 0, 0.5), Blobs(3, 2, 5, 1.6, 0, 0.5), Blobs(1, math.nan, 5, 1.6, 0, 0.5),
                    Blobs(1, 5, 0, 1.6, 0, 0.5)):
        assert lib.status("um_blobs_log", 8, 8, numpy.zeros((8, 8)), ctypes.byref(options), ctypes.byref(out)) != 0


def test_region_properties_are_those_of_scikit_image(lib):
    for seed in range(4):
        image = blotches((80, 100), seed, 1.0)
        labels = measure.label(image).astype("i4")
        count = labels.max()
        ours = (Region * (count + 1))()
        lib.call("um_regions_measure", *image.shape, labels, int(count + 1), ours)
        assert ours[count].area == 0  # asked for, not there
        for r, want in zip(ours, measure.regionprops(labels)):
            assert (r.area, (r.y0, r.x0, r.y1, r.x1)) == (want.area, want.bbox)
            assert (r.y, r.x) == pytest.approx(want.centroid)
            assert r.diameter == pytest.approx(want.equivalent_diameter_area)
            assert (r.major, r.minor) == pytest.approx((want.axis_major_length, want.axis_minor_length), abs=1e-6)
            assert r.border == (want.bbox[0] == 0 or want.bbox[1] == 0 or want.bbox[2] == 80 or want.bbox[3] == 100)
            if want.axis_major_length - want.axis_minor_length > 1e-6:
                # scikit-image turns from the rows' axis, ours from x towards the top
                turn = r.orientation - (math.degrees(want.orientation) - 90)
                assert abs((turn + 90) % 180 - 90) < 1e-6


def test_an_ellipse_has_its_axes_and_its_angle(lib):
    y, x = numpy.mgrid[:200, :200] - 100.0
    for angle in (-60, 0, 25, 90):
        c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        image = (((x * c - y * s) / 60) ** 2 + ((x * s + y * c) / 25) ** 2 < 1).astype("i4")
        region = (Region * 1)()
        lib.call("um_regions_measure", 200, 200, image, 1, region)
        assert (region[0].major, region[0].minor) == pytest.approx((120, 50), abs=0.5)  # half a pixel
        assert abs((region[0].orientation - angle + 90) % 180 - 90) < 0.3
