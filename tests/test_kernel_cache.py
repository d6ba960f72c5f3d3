"""Kernels on disk: a second process compiles nothing, and nobody is ever served old or strange machine code."""

import json
import math
import os
import subprocess
import sys
import types
from collections import namedtuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gbreg import _kernels as kernels
from gbreg._kernels import cache
from gbreg._kernels.fingerprint import Unreadable, fingerprint
from gbreg.losses import Huberpp

# -- fingerprints -----------------------------------------------------------------------------------------------------


def digest(function):
    return fingerprint(function, "here")


def made(text, **scope):
    """A function of the given source, compiled anew, as another process would."""
    exec(text, scope)
    return scope["f"]


def test_equal_source_has_one_fingerprint():
    text = "def f(x):\n    return x * 2.0 + c"
    assert digest(made(text, c=1.0)) == digest(made("\n\n" + text, c=1.0))
    assert fingerprint(made(text, c=1.0), "here") != fingerprint(made(text, c=1.0), "there")


def helper(by):
    return made(f"def f(x):\n    return x * {by}")


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made("def f(x): return x * 2"), made("def f(x): return x * 2.0")),
        (made("def f(x): return x * 0.0"), made("def f(x): return x * -0.0")),
        (made("def f(x): return x + c", c=1.0), made("def f(x): return x + c", c=2.0)),
        (made("def f(x): return g(x)", g=helper(2)), made("def f(x): return g(x)", g=helper(3))),
        (made("def f(x): return g(x)", g=math.exp), made("def f(x): return g(x)", g=math.log)),
        (made("def f(x): return m.exp(x)", m=math), made("def f(x): return m.exp(x)", m=np)),
        (made("def f(x, c=1.0): return x"), made("def f(x, c=2.0): return x")),
        (made("def f(x): return c[0]", c=np.zeros(2)), made("def f(x): return c[0]", c=np.ones(2))),
        (made("def f(x): return c[0]", c=np.zeros(2)), made("def f(x): return c[0]", c=np.zeros(2, np.float32))),
        (made("def f(x): return m.c", m=types.SimpleNamespace()), None),
    ],
    ids=["int", "sign", "global", "called", "built-in", "module", "default", "array", "dtype", "namespace"],
)
def test_whatever_is_compiled_in_is_read(one, other):
    if other is None:
        with pytest.raises(Unreadable, match="cannot be read"):
            digest(one)
    else:
        assert digest(one) != digest(other)


@pytest.mark.parametrize(
    "value",
    [object(), [1.0], {"a": 1.0}, Point(1.0, 2.0), np.array([None]), types.SimpleNamespace(x=1.0)],
    ids=["object", "list", "dict", "namedtuple", "objects", "namespace"],
)
def test_what_may_be_different_elsewhere_is_not_kept(value):
    with pytest.raises(Unreadable):
        digest(made("def f(x): return x if c is None else x", c=value))


def test_functions_of_a_module_of_ones_own_are_read():
    first, second = types.ModuleType("mine"), types.ModuleType("mine")
    first.g, second.g = helper(2), helper(3)
    text = "def f(x): return mine.g(x)"
    assert digest(made(text, mine=first)) != digest(made(text, mine=second))
    second.g = helper(2)
    assert digest(made(text, mine=first)) == digest(made(text, mine=second))


def test_a_function_that_calls_itself():
    text = "def f(x):\n    return x if x < 1 else f(x - {})"
    assert digest(made(text.format(1))) != digest(made(text.format(2)))


# -- files ------------------------------------------------------------------------------------------------------------

CODE = cache.Code("entry", ["exp"], b"machine\ncode")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "kernels"
    monkeypatch.setenv("GBREG_CACHE_DIR", str(place))
    return place


def test_a_kernel_comes_back(folder):
    assert cache.load("a") is None
    cache.save("a", CODE)
    assert cache.load("a") == CODE
    assert cache.load("b") is None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]
    assert cache.size() == (1, len(CODE.to_bytes()))
    assert cache.clear() == (1, len(CODE.to_bytes()))
    assert cache.load("a") is None
    assert cache.size() == cache.clear() == (0, 0)


@pytest.mark.parametrize("cut", [0, 10, 40, -1])
def test_a_damaged_file_is_no_kernel(folder, cut):
    cache.save("a", CODE)
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:cut])
    assert cache.load("a") is None
    cache.save("a", CODE)
    assert cache.load("a") == CODE


def test_no_folder_is_wanted_or_can_be(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    for place in ("", str(tmp_path / "file"), str(tmp_path / "file" / "below")):
        monkeypatch.setenv("GBREG_CACHE_DIR", place)
        cache.save("a", CODE)  # says nothing
        assert cache.load("a") is None
        assert cache.size() == (0, 0)
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no owners of this kind")
def test_code_that_others_can_write_is_not_run(folder, monkeypatch):
    cache.save("a", CODE)
    (file,) = folder.iterdir()
    file.chmod(0o620)
    assert cache.load("a") is None
    file.chmod(0o600)
    folder.chmod(0o777)
    with pytest.warns(UserWarning, match=r"others may write to it: .*chmod go-w"):
        assert cache.load("a") is None
    folder.chmod(0o700)
    assert cache.load("a") == CODE
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.warns(UserWarning, match="belongs to another user"):
        assert cache.load("a") is None


def test_the_longest_unused_go_first(folder, monkeypatch):
    size = len(CODE.to_bytes())
    monkeypatch.setattr(cache, "MOST_BYTES", 3 * size)
    monkeypatch.setattr(cache, "_LEFT_BYTES", 2 * size)
    for name in "abc":
        cache.save(name, CODE)
        os.utime(folder / f"{name}.kernel", (ord(name), ord(name)))
    assert cache.load("a") == CODE  # used now
    cache.save("d", CODE)
    assert sorted(file.name for file in folder.iterdir()) == ["a.kernel", "d.kernel"]


def test_unset_is_the_users_own_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("GBREG_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = cache.directory()
    assert place.parts[-2:] == ("gbreg", "kernels")
    if sys.platform.startswith("linux"):
        assert place == tmp_path / "gbreg" / "kernels"


def test_a_user_without_a_home_keeps_none(monkeypatch):
    monkeypatch.delenv("GBREG_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache.directory() is None
    assert cache.load("a") is None


# -- kernels ----------------------------------------------------------------------------------------------------------

FIT = """
import json, sys
import numpy as np
from numba.core import event
from gbreg import BucketRegressor, GBRegressor
from gbreg.losses import Huberpp
from gbreg.metrics import xauc

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3))
y = np.exp(X[:, 0]) * (rng.random(300) < 0.6)
with event.install_recorder("numba:compile") as compiled:
    bits = []
    models = [GBRegressor(Huberpp(label_floor=0.1), n_estimators=3)]
    if "bucket" in sys.argv:
        models.append(BucketRegressor(n_estimators=3, calibration="pit", random_state=0))
    for model in models:
        p = model.fit(X, y).predict(X)
        bits += [p.tobytes().hex(), model.score(X, y), xauc(y, p)]
print(json.dumps([len(compiled.buffer), bits]))
"""


def run(code, place, *arguments, **environment):
    environment = {**os.environ, "GBREG_CACHE_DIR": str(place), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_second_process_compiles_nothing(tmp_path):
    (first, bits), (second, again) = run(FIT, tmp_path, "bucket"), run(FIT, tmp_path, "bucket")
    assert first > 0
    assert second == 0
    assert again == bits
    assert run(FIT, "")[1] == bits[: len(bits) // 2]


def test_processes_that_start_at_once(tmp_path):
    environment = {**os.environ, "GBREG_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", FIT]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    out = [process.communicate() for process in both]
    assert [error for _, error in out] == [b"", b""]
    (_, one), (_, other) = (json.loads(text) for text, _ in out)
    assert one == other == run(FIT, tmp_path)[1]


LOSS = """
from math import log
from factors import FACTOR, helped
from gbreg.losses import PointwiseLoss

class Mine(PointwiseLoss):
    def __init__(self, link="identity"):
        self.link = link

    @staticmethod
    def row_value(y, mu):
        return {value}

    @staticmethod
    def row_derivatives(y, mu):
        return FACTOR * (mu - y), FACTOR
"""
FACTORS = """
FACTOR = {factor}

def helped(x):
    return {helped}
"""
USE = """
import json, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from mine import Mine
loss = Mine()
loss.fit([1.0, 2.0])
print(json.dumps([loss.value([1.0], [3.0]).tolist(), loss.gradient_hessian([1.0], [3.0], hessian="exact")[0].tolist()]))
"""


def test_an_edited_formula_is_never_served_the_old_code(tmp_path):
    """Edited in the loss, in what it calls, and in a constant, in another file; and back again."""

    def after(value="FACTOR * helped(mu - y) / 2.0", factor="1.0", helped="x * x"):
        (tmp_path / "mine.py").write_text(LOSS.format(value=value))
        (tmp_path / "factors.py").write_text(FACTORS.format(factor=factor, helped=helped))
        return run(USE, tmp_path / "kernels", str(tmp_path))

    assert after() == [[2.0], [2.0]]
    assert after(factor="3.0") == [[6.0], [6.0]]
    assert after(helped="x * x + 1.0") == [[2.5], [2.0]]
    assert after(value="FACTOR * helped(mu - y)") == [[4.0], [2.0]]
    before = len(list((tmp_path / "kernels").iterdir()))
    assert after() == [[2.0], [2.0]]
    assert len(list((tmp_path / "kernels").iterdir())) == before


def test_a_loss_that_cannot_be_kept_is_compiled(folder):
    Pair = namedtuple("Pair", "a b")
    pair = Pair(2.0, 3.0)

    def scaled(x):
        return pair.a * x + pair.b

    assert_array_equal(kernels.map_scalar(scaled, np.array([1.0, 2.0])), [5.0, 7.0])
    assert not folder.exists()


def test_a_kernel_that_needs_what_is_not_there_is_compiled_again(folder):
    def tripled(x):
        return 3.0 * x

    def tripled_again(x):
        return 3.0 * x

    assert_array_equal(kernels.map_scalar(tripled, np.array([2.0])), [6.0])
    (file,) = folder.iterdir()
    code = cache.Code.from_bytes(file.read_bytes())
    cache.save(file.stem, cache.Code(code.entry, ["a_function_of_another_build"], code.machine))
    assert_array_equal(kernels.map_scalar(tripled_again, np.array([2.0])), [6.0])
    assert cache.load(file.stem).symbols == code.symbols


def test_joblib_workers_load_them(tmp_path, folder):
    from joblib import Parallel, delayed

    y, raw = np.array([1.0, 2.0]), np.array([0.5, 3.0])
    want = Huberpp(link="log").fit(y).value(y, raw)
    files = len(list(folder.iterdir())) if folder.exists() else 0
    for got in Parallel(n_jobs=2)(delayed(Huberpp(link="log").fit(y).value)(y, raw) for _ in range(4)):
        assert_array_equal(got, want)
    assert len(list(folder.iterdir())) >= files
