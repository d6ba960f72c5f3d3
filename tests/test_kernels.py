"""Elementary functions to 2 ulp, loops in every dtype and thread count, and what is compiled how often."""

import math
from math import exp as exponential

import numpy as np
import pytest
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from gbreg import GBRegressor
from gbreg import _kernels as kernels
from gbreg.engines import ENGINES
from gbreg.losses import AM, ZILN, Huber, Huberpp, LogNormal, SoftmaxBuckets, SquaredError
from gbreg.losses.pointwise import PointwiseLoss

# -- elementary functions ---------------------------------------------------------------------------------------------

rng = np.random.default_rng(0)
TINY = 5e-324
EDGES = {
    "exp": [-745.2, -745.0, -708.5, -0.3466, 0.3466, 709.7, 709.782712893384, -1e-320, 1e-17],
    "expm1": [-745.0, -60.1, -59.9, -37.5, -0.3466, -0.3465, 0.3466, 699.9, 700.1, 709.78, 1e-320, -1e-300, 1e-17, -1e-9],
    "log": [TINY, 1e-310, 2.2250738585072014e-308, 0.70710678, 0.7071068, 1 - 1e-16, 1 + 2.3e-16, 1.4142, 1e308],
    "log1p": [-1 + 1.2e-16, -0.5, -1e-9, 1e-320, -1e-300, 1e-17, 1e-16, 1e-8, 0.4142, 1e15, 1e16, 1e17, 1e308],
}
RANDOM = {
    "exp": np.concatenate([rng.uniform(-740, 709, 1500), rng.normal(0, 1, 1500)]),
    "expm1": np.concatenate(
        [rng.uniform(-50, 709, 1000), rng.normal(0, 1, 1000), rng.choice([-1, 1], 1000) * 10 ** rng.uniform(-300, 0, 1000)]
    ),
    "log": np.concatenate([10 ** rng.uniform(-307, 308, 1500), 1 + rng.normal(0, 0.1, 1000), 1 + rng.normal(0, 1e-9, 500)]),
    "log1p": np.concatenate([10 ** rng.uniform(-300, 300, 1000), rng.uniform(-0.999, 2, 1500), rng.normal(0, 1e-9, 500)]),
}
SPECIAL = {
    "exp": (
        [0.0, -0.0, -np.inf, np.inf, np.nan, 710.0, 1e300, -746.0, -1e300],
        [1, 1, 0, np.inf, np.nan, np.inf, np.inf, 0, 0],
    ),
    "expm1": ([0.0, -np.inf, np.inf, np.nan, 710.0, -1e300], [0, -1, np.inf, np.nan, np.inf, -1]),
    "log": ([1.0, 0.0, -0.0, np.inf, np.nan, -1.0, -np.inf], [0, -np.inf, -np.inf, np.inf, np.nan, np.nan, np.nan]),
    "log1p": ([0.0, -1.0, np.inf, np.nan, -1.5, -np.inf], [0, -np.inf, np.inf, np.nan, np.nan, np.nan]),
}
every_function = pytest.mark.parametrize("name", list(SPECIAL))


def vectorised(name):
    """The function in the form that loses use: called in a scalar function, compiled into a loop."""
    function = getattr(math, name)
    return lambda x: kernels.map_scalar(function, np.asarray(x))


@every_function
def test_two_ulp(name):
    x = np.concatenate([EDGES[name], RANDOM[name]])
    got = vectorised(name)(x)
    with mp.workdps(60):
        exact = getattr(mp, name)
        for value, number in zip(x, got, strict=True):
            true = exact(mpf(float(value)))
            ulp = np.spacing(abs(float(true)))
            assert abs(mpf(float(number)) - true) <= 2 * ulp, (name, value, number)


@every_function
def test_special_values(name):
    x, want = SPECIAL[name]
    assert_array_equal(vectorised(name)(x), want)


@every_function
def test_against_numpy(name):
    x = RANDOM[name]
    assert_allclose(vectorised(name)(x), getattr(np, name)(x), rtol=1e-15, atol=TINY)


def test_exp_in_single_precision_is_within_two_ulp():
    def both(x):
        return kernels.exp_single(kernels.single(x))

    x = np.linspace(-87.0, 88.0, 200_001).astype(np.float32).astype(np.float64)
    want = np.exp(x)
    assert (np.abs(kernels.map_scalar(both, x) - want) <= 2.0 * np.spacing(want.astype(np.float32))).all()
    assert_allclose(kernels.map_scalar(both, np.array([-1e30, 1e30])), np.exp([-87.0, 88.0]), rtol=1e-6)  # as there


# -- what is compiled -------------------------------------------------------------------------------------------------

STRENGTH = 3.0


def squared(x):
    return x * x


def helped(x):
    return STRENGTH * squared(x) + math.log(x) + np.log(x) + exponential(-x) + np.exp(-x) + math.sqrt(x)


def with_closure(scale):
    def inner(x):
        return scale * x

    def outer(x, shift):
        return inner(x) + squared(shift)

    return outer


def test_helpers_and_globals_are_compiled_in():
    x = np.array([0.5, 2.0, 9.0])
    want = 3.0 * x * x + 2.0 * np.log(x) + 2.0 * np.exp(-x) + np.sqrt(x)
    assert_allclose(kernels.map_scalar(helped, x), want, rtol=1e-15)


def test_closures_are_compiled_in():
    x = np.array([1.0, -2.0])
    assert_array_equal(kernels.map_scalar(with_closure(2.0), x, (3.0,)), 2.0 * x + 9.0)
    assert_array_equal(kernels.map_scalar(with_closure(5.0), x, (1.0,)), 5.0 * x + 1.0)


def test_math_and_numpy_functions_are_the_fast_ones():
    assert kernels.compile_scalar(math.log) is kernels.log
    assert kernels.compile_scalar(np.expm1) is kernels.expm1
    compiled = kernels.compile_scalar(helped)
    assert compiled.py_func.__globals__["exponential"] is kernels.exp
    assert compiled.py_func.__globals__["math"].log is kernels.log
    assert compiled.py_func.__globals__["np"].log is kernels.log
    assert math.log(math.e) == 1.0  # the module itself is left alone


def test_twenty_deltas_compile_once():
    y, raw = np.array([1.0, 2.0, 5.0]), np.array([0.1, 0.5, 2.0])
    Huberpp(delta=0.7, link="log").fit(y).value(y, raw)
    before = kernels.kernels_made()
    assert before > 0
    losses = [Huberpp(delta=d, C=c, link="log").fit(y) for d, c in zip(np.linspace(0.1, 2, 20), range(1, 21), strict=True)]
    gradients = {tuple(loss.gradient_hessian(y, raw)[0]) for loss in losses}
    values = {tuple(loss.value(y, raw)) for loss in losses}
    assert len(gradients) == len(values) == 20
    assert kernels.kernels_made() == before


@pytest.mark.parametrize(
    "made",
    [
        lambda i: LogNormal(sigma_bounds=(0.01 * (i + 1), 3.0 + i)),
        lambda i: ZILN(sigma_bounds=(0.01 * (i + 1), 3.0 + i)),
        lambda i: SoftmaxBuckets(n_buckets=3 + i, rank=None),
        lambda i: SoftmaxBuckets(n_buckets=6 + i, rank=2),
    ],
    ids=["LogNormal", "ZILN", "SoftmaxBuckets", "SoftmaxBuckets of low rank"],
)
def test_twenty_settings_of_several_outputs_compile_once(made):
    """Their parameters, and buckets with all that was learnt of them, are numbers at run time too."""
    y = np.random.default_rng(0).lognormal(1.0, 1.0, 300)

    def gradients(loss):
        raw = np.tile(loss.fit(y).intercept_, (y.size, 1)) + 0.1
        assert np.isfinite(loss.value(y, raw)).all()
        return tuple(np.ravel(loss.gradient_hessian(y, raw)[0]))

    gradients(made(0))
    before = kernels.kernels_made()
    assert len({gradients(made(i)) for i in range(1, 21)}) == 20
    assert kernels.kernels_made() == before


@pytest.mark.parametrize("engine", ENGINES)
def test_twenty_deltas_train_with_one_compilation(engine):
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = np.exp(X[:, 0])
    model = GBRegressor(Huberpp(link="log"), engine=engine, n_estimators=2, early_stopping_rounds=2, n_jobs=1)
    first = model.fit(X, y).predict(X)
    before = kernels.kernels_made()
    fitted = [clone(model).set_params(loss__delta=d).fit(X, y).predict(X) for d in np.linspace(0.05, 0.45, 20)]
    assert kernels.kernels_made() == before
    assert len({tuple(p) for p in (first, *fitted)}) == 21


def test_equal_specs_share_a_kernel():
    assert AM().spec() == AM(C=2.0, lb=0.2).spec()
    assert hash(AM().spec()) == hash(AM(C=2.0, lb=0.2).spec())
    assert AM().spec() != AM(link="log").spec()
    assert AM().spec() != AM(label_rescale=[(1.0, 2.0)]).spec()


class Weird(PointwiseLoss):
    """A user's loss whose scalar functions use a helper, a global and both log functions."""

    def __init__(self, power=2.0, link="log"):
        self.power = power
        self.link = link

    @staticmethod
    def row_value(y, mu, power):
        return squared(math.log(mu) - np.log(y)) * power / STRENGTH

    @staticmethod
    def row_derivatives(y, mu, power):
        u = np.log(mu) - math.log(y)
        return 2.0 * u * power / (STRENGTH * mu), 2.0 * power * (1.0 - u) / (STRENGTH * squared(mu))


def test_a_users_loss_is_compiled():
    y, raw = np.array([1.0, 2.0, 5.0]), np.array([0.1, 0.5, 2.0])
    loss = Weird().fit(y)
    assert_allclose(loss.value(y, raw), 2.0 / 3.0 * (raw - np.log(y)) ** 2, rtol=1e-13)
    g, h = loss.gradient_hessian(y, raw, hessian="exact")
    assert_allclose(g, 4.0 / 3.0 * (raw - np.log(y)), rtol=1e-13)
    assert_allclose(h, 4.0 / 3.0, rtol=1e-13)


# -- loops ------------------------------------------------------------------------------------------------------------

ROWS = kernels.PARALLEL_ROWS


def arrays(n, label, score):
    generator = np.random.default_rng(n)
    y = generator.lognormal(0, 1, n).astype(label)
    return y, generator.normal(0, 1, n).astype(score), generator.uniform(0, 2, n).astype(np.float32)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize(("label", "score"), [("float32", "float64"), ("float32", "float32"), ("float64", "float64")])
@pytest.mark.parametrize("n", [1, 7, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 5])
def test_every_path_is_the_serial_one(n, label, score, n_threads):
    """float32 outputs, in parallel and with remainder rows, are the rounded float64 ones."""
    loss = Huberpp(delta=0.5, link="log", label_rescale=[(0.5, 2.0), (1.5, 3.0)])
    spec, arguments = loss.spec(), loss.arguments()
    y, raw, w = arrays(n, label, score)
    exact = np.empty(n), np.empty(n)
    single = np.full(n, np.nan, np.float32), np.full(n, np.nan, np.float32)
    serial = (y.astype(float), raw.astype(float), w.astype(float))
    run = kernels.Pass(spec, arguments, offset=0.3, scale=0.7, step=kernels.StepBounds(limit=10.0))
    assert run(*serial, exact) == 0
    assert run(y, raw, w, single, n_threads) == 0
    for one, other in zip(single, exact, strict=True):
        assert one.dtype == np.float32
        assert_allclose(one, other, rtol=2.0**-23, atol=1e-37)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_bad_rows_are_counted(n_threads):
    loss = SquaredError("log")
    n = 2 * ROWS + 1
    y, raw, w = arrays(n, "float32", "float64")
    raw[[0, 5, ROWS + 3]] = np.nan, 400.0, np.inf  # exp(400)^2 is beyond float32
    y[n - 1] = np.nan  # in the remainder of two threads
    out = np.empty(n, np.float32), np.empty(n, np.float32)
    with np.errstate(all="ignore"):
        assert kernels.Pass(loss.spec(), loss.arguments())(y, raw, w, out, n_threads) == 4
    good = np.isfinite(out[0]) & np.isfinite(out[1])
    assert (~good).sum() == 4


def test_more_than_float32_is_bad_only_in_float32():
    loss = Huber(1.0, "absolute").fit([1.0, 2.0])
    y, raw, w = np.zeros(2), np.ones(2), np.array([1e39, 1.0])
    assert kernels.Pass(loss.spec(), loss.arguments())(y, raw, w, (np.empty(2), np.empty(2))) == 0
    with np.errstate(over="ignore"):
        out = np.empty(2, np.float32), np.empty(2, np.float32)
        assert kernels.Pass(loss.spec(), loss.arguments())(y, raw, w, out) == 1


def test_offset_scale_weight_and_floor():
    loss = SquaredError("log").fit([1.0, 2.0])
    y, raw, w = np.array([1.0, 4.0]), np.array([0.2, 0.5]), np.array([2.0, 3.0])
    plain, out = loss.gradient_hessian(y, raw, hessian="exact"), (np.empty(2), np.empty(2))
    run = kernels.Pass(loss.spec(), loss.arguments(), hessian="exact", offset=1.0, scale=0.5, floor=4.0)
    run(y, raw - 1.0, w, out)
    assert_allclose(out[0], plain[0] * w * 0.5, rtol=1e-13)
    assert_allclose(out[1], np.maximum(plain[1] * w * 0.5, 4.0), rtol=1e-13)
    assert plain[1].min() < 0  # one row is lifted
    assert_allclose(kernels.value(loss.spec(), loss.arguments(), y, raw - 1.0, 1.0), loss.value(y, raw), rtol=1e-13)
