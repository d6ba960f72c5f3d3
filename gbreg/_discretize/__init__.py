"""Buckets of the labels, for regression as classification: edges, representatives, sufficient statistics, soft labels.

K buckets have K - 1 interior edges; row y is in bucket k when ``edges[k - 1] <= y < edges[k]``. All statistics are
weighted: an integer weight equals repetition, and rows of weight 0 do not count.
"""

from gbreg._discretize.edges import bucket_of, make_edges
from gbreg._discretize.soft import KINDS, label_tilt, local_widths, row_sigma, soft_label, soft_labels
from gbreg._discretize.statistics import basis, representatives, spans

__all__ = [
    "KINDS",
    "basis",
    "bucket_of",
    "label_tilt",
    "local_widths",
    "make_edges",
    "representatives",
    "row_sigma",
    "soft_label",
    "soft_labels",
    "spans",
]
