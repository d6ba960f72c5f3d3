"""Tables of any kind, as estimators see them."""

from gbreg._columns.checks import check_columns, check_features
from gbreg._columns.frames import column_names, named_columns, numeric_column
from gbreg._columns.table import Columns, Table, n_rows, segment_column, take_rows, with_column

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
    "with_column",
]
