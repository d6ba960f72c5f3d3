"""Scalar functions -> fused, vectorised loops. The only package that knows numba."""

from gbreg._kernels.machine import kernels_made
from gbreg._kernels.pointwise import (
    FREE,
    PARALLEL_ROWS,
    Arguments,
    Pass,
    PointwiseSpec,
    StepBounds,
    value,
)
from gbreg._kernels.rows import RowArguments, RowPass, RowSpec, row_sums, row_value
from gbreg._kernels.scalar import compile_scalar, exp, expm1, log, log1p, map_scalar
from gbreg._kernels.single import double, exp_single, single

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
    "compile_scalar",
    "double",
    "exp",
    "exp_single",
    "expm1",
    "kernels_made",
    "log",
    "log1p",
    "map_scalar",
    "row_sums",
    "row_value",
    "single",
    "value",
]
