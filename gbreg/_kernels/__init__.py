"""Scalar functions -> fused, vectorised loops. The only package that knows numba."""

from gbreg._kernels.pointwise import (
    FREE,
    PARALLEL_ROWS,
    Arguments,
    Pass,
    PointwiseSpec,
    StepBounds,
    value,
)
from gbreg._kernels.rows import RowArguments, RowPass, RowSpec, row_value
from gbreg._kernels.scalar import compilations, compile_scalar, exp, expm1, log, log1p, map_scalar, threads_available

__all__ = [
    "FREE",
    "PARALLEL_ROWS",
    "Arguments",
    "Pass",
    "PointwiseSpec",
    "RowArguments",
    "RowPass",
    "RowSpec",
    "StepBounds",
    "compilations",
    "compile_scalar",
    "exp",
    "expm1",
    "log",
    "log1p",
    "map_scalar",
    "row_value",
    "threads_available",
    "value",
]
