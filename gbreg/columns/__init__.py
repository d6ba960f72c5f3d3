"""Tables of any kind, as estimators see them."""

from gbreg.columns.checks import check_columns, check_features
from gbreg.columns.frames import column_names, named_columns, numeric_column, segment_column
from gbreg.columns.table import Columns, Table, n_rows, take_rows

__all__ = [
    "Columns",
    "Table",
    "check_columns",
    "check_features",
    "column_names",
    "n_rows",
    "named_columns",
    "numeric_column",
    "segment_column",
    "take_rows",
]
