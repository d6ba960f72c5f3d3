"""One page that says which predictions to trust (``pip install "gbreg[report]"``).

The package is not called ``report``, or it would hide the function of that name, `gbreg.report`.
"""

from gbreg.reporting.horizons import write_horizon_comparison
from gbreg.reporting.page import report, write_comparison, write_page
from gbreg.reporting.scores import scored

__all__ = ["report", "scored", "write_comparison", "write_horizon_comparison", "write_page"]
