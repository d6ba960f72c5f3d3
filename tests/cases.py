"""Every built-in loss on every link it admits: what the parametrised suites run over."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from gbreg.links import LINKS
from gbreg.losses import AM, WCE, Expectile, Huber, Huberpp, Loss, PointwiseLoss, Quantile, Tweedie, known_losses


def built_in(kind: type[Loss] = PointwiseLoss) -> dict[str, type[Loss]]:
    """The library's own losses of a kind; a user's loss that a test defines is known too, but is not ours to test."""
    found = {name: cls for name, cls in known_losses().items() if cls.__module__.startswith("gbreg.losses.")}
    return {name: cls for name, cls in found.items() if issubclass(cls, kind) and name != "expression_loss"}


def inside(loss: Loss, y: Any) -> Any:
    """Labels from 0 upwards, mapped into the loss's domain: odds to probabilities, where it takes those."""
    y = np.asarray(y, dtype=np.float64)
    return y / (1.0 + y) if loss.y_domain.high == 1.0 else y


def admissible(loss: PointwiseLoss) -> PointwiseLoss:
    """The loss itself, or `ValueError` where loss and link do not go together."""
    loss.check_parameters()
    return loss


def _cases() -> list[PointwiseLoss]:
    cases = []
    for cls in built_in().values():
        if "link" not in inspect.signature(cls.__init__).parameters:
            cases.append(cls())
            continue
        for link in ("identity", "log", "softplus", "power"):
            assert link in LINKS
            try:
                cases.append(admissible(cls(link=link)))
            except ValueError:
                continue
    return cases


CASES = _cases()

# Further parameters, where curvature is at its worst.
EXTREME_CASES = [
    Huber(delta=0.01, link="log"),
    Huberpp(delta=0.01, link="log"),
    Huberpp(delta=5.0, link="log"),
    AM(s_low=5.0, s_high=0.2),
    AM(s_low=5.0, s_high=0.2, link="log"),
    AM(link="log", gradient_on="raw", s_low=3.0),
    Expectile(level=0.95),
    Expectile(level=0.05, link="log"),
    Quantile(level=0.95),
    Tweedie(power=1.05),
    Tweedie(power=1.95),
    WCE("log2"),
    WCE("log2_plus1"),
    WCE(cap=5.0),
]
