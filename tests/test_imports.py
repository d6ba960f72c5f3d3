"""Who imports whom: modules know only what lies below them, and heavy packages load only when used."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

import gbreg
from gbreg.engines import ENGINES

PACKAGE = Path(gbreg.__file__).parent
# Bottom to top. A module may import from its own layer and from those below.
LAYERS = [
    {"_compat", "_errors", "_files", "_own_classes"},
    {"links"},
    {"_checks"},
    {"_kernels"},
    {"_discretize"},
    {"distribution"},
    {"losses"},
    {"engines"},
    {"metrics", "calibration"},
    {"_columns"},
    {"_archive"},
    {"estimators"},
    {"persistence"},
    {"testing", "compare", "_callables", "_tables", "datasets", "plots"},
    {"tuning", "reporting"},
    {"cli"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
BOOSTERS = {engine.module for engine in ENGINES.values()}
MODULES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
)


def name_of(path):
    """The name under which a file of the package is imported."""
    return ".".join(("gbreg", *path.with_suffix("").parts)).removesuffix(".__init__")


FILES = {name_of(path): path for path in (file.relative_to(PACKAGE) for file in PACKAGE.rglob("*.py"))}


def top(path):
    return path.parts[0].removesuffix(".py")


def imported(path, *, inside_functions):
    """Absolute names that a module imports: at its top level, or anywhere."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree) if inside_functions else statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def statements(tree):
    """Every node that runs when the module is imported: all but the bodies of functions and of TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from statements(node)


def test_every_module_has_a_layer():
    unknown = {top(path) for path in MODULES} - set(RANK)
    assert not unknown, f"give {sorted(unknown)} a place in LAYERS"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_one_way(path):
    for name in imported(path, inside_functions=False):
        if name.startswith("gbreg."):
            target = name.split(".")[1]
            if target in RANK:  # else a public name of the package itself
                assert RANK[target] <= RANK[top(path)], f"{path} imports {name}, which lies above it"
            else:
                assert top(path) == "cli" or target == "__version__", f"{path} imports {name}"


def file_of(name):
    """The file in which an absolute name is found: the name's own, or that of the module it is a part of."""
    while name not in FILES:
        name = name.rpartition(".")[0]
    return FILES[name]


def circles(graph):
    """The sets of nodes of which each can be reached from every other."""
    names = sorted(graph)
    leads = np.array([[there in graph[here] for there in names] for here in names])
    n, group = connected_components(leads, connection="strong")
    found = [[name for name, k in zip(names, group, strict=True) if k == g] for g in range(n)]
    return sorted(names for names in found if len(names) > 1)


def test_no_files_import_each_other():
    """Nor inside functions or for the type checker alone: what knows of each other is one thing in several files."""
    graph = {
        str(path): {str(file_of(name)) for name in imported(path, inside_functions=True) if name.split(".")[0] == "gbreg"}
        for path in FILES.values()
    }
    assert graph["_callables.py"] >= {"engines/__init__.py", "engines/callables/bare.py", "losses/vector.py"}
    assert "estimators/__init__.py" in graph["__init__.py"]  # known to the type checker alone
    assert "reporting/study.py" in graph["tuning/__init__.py"]  # imported in a function
    assert circles(graph) == []


def test_circles():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"d", "b"}, "d": {"e", "d"}, "e": {"f"}, "f": {"g"}, "g": {"e"}}
    assert circles(graph) == [["b", "c"], ["e", "f", "g"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_who_knows_numba_and_the_boosters(path):
    packages = {name.split(".")[0] for name in imported(path, inside_functions=True)}
    if top(path) != "_kernels":
        assert not packages & {"numba", "llvmlite"}, f"{path} imports numba: only kernels may"
    if top(path) not in ("engines", "_compat"):
        assert not packages & BOOSTERS, f"{path} imports a booster: only engines may"


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def written(path):
    """Names that a module defines or assigns, attributes among them."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


OURS = {name for path in MODULES for name in written(path)}
# What our classes inherit: scikit-learn's estimators, sympy's printers, named tuples.
INHERITED = {"_get_param_names", "_validate_params", "_print", "_replace"}


@pytest.mark.parametrize("path", [path for path in MODULES if path.stem != "_compat"], ids=str)
def test_private_parts_of_dependencies_are_named_in_one_module(path):
    for name in imported(path, inside_functions=True):
        assert name.startswith("gbreg") or not any(map(is_private, name.split("."))), f"{path} imports {name}"
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            assert node.attr in OURS | INHERITED, f"{path}, line {node.lineno}: {ast.unparse(node)} is not ours"


SOURCE = """
import a
if x:
    import b
else:
    import c
class D:
    import d
def function():
    import e
if TYPE_CHECKING:
    import f
"""


def test_statements_that_run():
    nodes = [node for node in statements(ast.parse(SOURCE)) if isinstance(node, ast.Import)]
    assert [node.names[0].name for node in nodes] == ["a", "b", "c", "d"]


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


HEAVY = {
    "numpy",
    "scipy",
    "sklearn",
    "numba",
    "pandas",
    "polars",
    "pyarrow",
    "narwhals",
    "sympy",
    "typer",
    "rich",
    "optuna",
} | BOOSTERS


def test_import_gbreg_is_light():
    assert not modules_after("import gbreg; gbreg.__version__; dir(gbreg)") & (HEAVY | BOOSTERS)


def test_losses_and_estimators_load_no_booster():
    loaded = modules_after("import gbreg; gbreg.GBRegressor('huberpp', engine='xgboost'); gbreg.losses.known_losses()")
    assert "numba" in loaded
    assert not loaded & (BOOSTERS | {"sympy", "typer"})


def test_public_names():
    for name in gbreg.__all__:
        assert getattr(gbreg, name) is not None
        assert name in dir(gbreg)
    for name in dir(gbreg):
        assert getattr(gbreg, name, None) is not None or name.startswith("__"), name
    with pytest.raises(AttributeError, match="module 'gbreg' has no attribute 'nothing'"):
        gbreg.nothing  # noqa: B018
