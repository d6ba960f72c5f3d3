"""Scalar functions -> fused, vectorised loops. The only package that knows numba."""

from gbreg.kernels.pointwise import (
    FREE,
    PARALLEL_ROWS,
    Arguments,
    PointwiseSpec,
    StepBounds,
    gradient_hessian,
    value,
)
from gbreg.kernels.rows import RowArguments, RowSpec, row_gradient_hessian, row_value
from gbreg.kernels.scalar import compilations, compile_scalar, exp, expm1, log, log1p, map_scalar, threads_available

__all__ = [
    "FREE",
    "PARALLEL_ROWS",
    "Arguments",
    "PointwiseSpec",
    "RowArguments",
    "RowSpec",
    "StepBounds",
    "compilations",
    "compile_scalar",
    "exp",
    "expm1",
    "gradient_hessian",
    "log",
    "log1p",
    "map_scalar",
    "row_gradient_hessian",
    "row_value",
    "threads_available",
    "value",
]
