"""The auction of the examples on bidding: what is won, paid and brought in by bids that follow predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TARGET = 4.0
RIVALS_SIGMA = 0.5


class Outcome(NamedTuple):
    """Figures of one bidder: `lost` and `over` are shares of all auctions, `roi` a share of the target, the others money."""

    revenue: float
    roi: float
    lost: float
    over: float
    gmv: float
    profit: float


@dataclass(frozen=True)
class Market:
    """Auctions of orders worth `gmv` yuan on average; the bid is the predicted GMV over the target ROI.

    The highest bid wins; `rival` is the best of the others. In a first-price auction, the winner pays the own bid:
    `revenue`, the platform's, and the ROI follow it. `profit` is GMV over target less the price of a second-price auction,
    in which nobody can do better than who bids by the true mean.
    """

    gmv: np.ndarray
    rival: np.ndarray

    @classmethod
    def of(cls, gmv: np.ndarray, seed: int) -> Market:
        """Rivals know an order's worth within a factor, so that half of the auctions go to who knows it exactly."""
        noise = np.random.default_rng(seed).normal(size=gmv.size)
        return cls(gmv, gmv / TARGET * np.exp(RIVALS_SIGMA * noise))

    def outcome(self, predicted: np.ndarray) -> Outcome:
        """What bids of predicted GMV / TARGET come to; at least one of them must win."""
        bid = predicted / TARGET
        won = bid > self.rival
        gmv, paid = self.gmv[won].sum(), bid[won].sum()
        profit = (self.gmv / TARGET - self.rival)[won].sum()
        return Outcome(paid, gmv / paid / TARGET, 1 - won.mean(), np.mean(predicted > 1.5 * self.gmv), gmv, profit)
