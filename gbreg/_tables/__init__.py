"""Tables on disk: reading and writing them, naming columns, features, and the train/test split.

Everything here is a pyarrow table. What a user got wrong ends in an `InputError`, whose text is one line that names the
argument, the value, what would be allowed, and the way out.
"""

from gbreg._tables.columns import Target, carried, check_column, column_list, labels, numbers, of_rows_alone, values, weights
from gbreg._tables.feature_table import FeatureTable, feature_names, features, matching
from gbreg._tables.files import check_suffix, read_table, write_table
from gbreg._tables.split import Split, SplitRows, prepare, rows_of, split_rows
from gbreg._tables.training import TrainingRows, training_rows

__all__ = [
    "FeatureTable",
    "Split",
    "SplitRows",
    "Target",
    "TrainingRows",
    "carried",
    "check_column",
    "check_suffix",
    "column_list",
    "feature_names",
    "features",
    "labels",
    "matching",
    "numbers",
    "of_rows_alone",
    "prepare",
    "read_table",
    "rows_of",
    "split_rows",
    "training_rows",
    "values",
    "weights",
    "write_table",
]
