"""What every estimator of gbreg answers about itself, fitted or not."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from gbreg._archive import Savable
from gbreg._checks import Floats, check_inside
from gbreg._columns import Columns, Table, check_columns
from gbreg.estimators.readout import Functional, read
from gbreg.estimators.rows import carrying, check_same
from gbreg.links import REALS, Interval

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


def _no_distribution(estimator: Any) -> TypeError:
    return TypeError(
        f"{type(estimator).__name__} predicts no distribution: use a GBRegressor with a distributional loss, such as "
        "GBRegressor('log_normal')"
    )


def check_distributional(estimator: Any) -> None:
    """`TypeError` for any estimator, fitted or not, that predicts no distribution: those of gbreg say why."""
    if hasattr(estimator, "check_distributional"):
        estimator.check_distributional()
    elif not hasattr(estimator, "predict_distribution"):
        raise _no_distribution(estimator)


def check_carried(estimator: Any, names: Collection[str]) -> None:
    """`ValueError` for what any estimator cannot take of the rows beside their features: those of gbreg say why."""
    if hasattr(estimator, "check_carried"):
        estimator.check_carried(names)
    elif names:
        who = f"estimator={type(estimator).__name__}"
        raise ValueError(f"{next(iter(names))}: {who} takes none: use one of gbreg, such as GBRegressor")


# Who takes what rows bring beside their features.
_TAKERS = {
    "offset": "use a GBRegressor with a loss of one output, such as GBRegressor('poisson')",
    "exposure": "use a GBRegressor with a loss of one output, such as GBRegressor('poisson'), or a hurdle, such as "
    "ZILNRegressor()",
    "censored": "use ZILNRegressor, BucketRegressor, OrdinalRegressor, or a GBRegressor of their losses, such as "
    "GBRegressor('log_normal')",
}
Method = TypeVar("Method", bound=Callable[..., Any])


def distributional(method: Method) -> Method:
    """Offers a method where the estimator predicts distributions; elsewhere the error's cause says why it does not."""

    def predicts(estimator: Any) -> bool:
        check_distributional(estimator)
        return True

    return available_if(predicts)(method)  # type: ignore[no-any-return]


class Model(Savable, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Base of all estimators.

    Attributes
    ----------
    word : str
        What stands for the estimator on the command line and in leaderboards; "" where nothing does.
    family : str
        Which kind of model it is: leaderboards are grouped by it.
    y_domain : Interval
        The labels it takes.
    booster_predicts : bool
        Whether it has one booster, whose own predictions are the model's.
    carried_ : tuple of str
        What `fit` was given of "offset" and "exposure", and `predict` needs.
    """

    word: ClassVar[str] = ""
    carried_: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        return ""

    @property
    def y_domain(self) -> Interval:
        return REALS

    @property
    def booster_predicts(self) -> bool:
        return False

    @classmethod
    def own_parameters(cls) -> list[str]:
        """The parameters that are told after its word."""
        return list(cls._get_param_names())

    @classmethod
    def of_word(cls, given: dict[str, Any], read_loss: Callable[[str], Any]) -> Self:
        """The estimator of a word and its parameters; `read_loss` makes a loss of its name and parameters."""
        return cls(**given)

    def label(self) -> str:
        """One word that `gbreg.compare.parse_model` reads back: the name, and parameters that differ from their defaults.

        "" where no word stands for the estimator.
        """
        return labelled(self.word, self, self.own_parameters()) if self.word else ""

    def told(self) -> dict[str, Any]:
        """Its own parameters with their values."""
        own = self.own_parameters()
        return {name: value for name, value in self.get_params(deep=False).items() if name in own}

    def check_labels(self, y: Floats) -> None:
        """`ValueError` for labels that the estimator does not take."""
        check_inside(y, self.y_domain, type(self).__name__, "use a loss on all reals, such as squared_error")

    def labels_of(self, part: str, y: Floats) -> Floats | None:
        """The labels that a part is trained on, None where they are not known before."""
        return None

    def columnless(self) -> Self:
        """A clone that takes any table: it names no column of its own."""
        return clone(self)  # type: ignore[no-any-return]

    def check_distributional(self) -> None:
        """`TypeError` unless the estimator, fitted or not, predicts distributions."""
        raise _no_distribution(self)

    def predict(
        self, X: Any, functional: Functional = None, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Floats:
        """Predictions of shape (n_samples,), in the unit of the target.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        functional : {"mean", "median", "mode", "log_mean"}, float or None
            What to read from the predicted distribution, of estimators that predict one: "log_mean" ranks, "mean" bids, a
            float in (0, 1) is a quantile. None is the estimator's own prediction, calibrated if it calibrates; readouts of a
            distribution are calibrated by "pit" alone, with which None is read from the distribution too.
        offset, exposure : array-like of shape (n_samples,), optional
            As at `fit`, which says whether they are needed. An exposure of 1 gives what is predicted for one unit of it.
        """
        functional = self._to_read(functional)
        X = self._carrying(X, offset, exposure)
        if functional is None:
            return self._predicted(X)
        self.check_distributional()
        return read(self._predicted_distribution(X), functional)

    def _to_read(self, functional: Functional) -> Functional:
        """What to read from the predicted distribution; None for the prediction that needs none."""
        return functional

    def _predicted(self, X: Any) -> Floats:
        """What is predicted where nothing is read from a distribution."""
        raise NotImplementedError

    def _predicted_distribution(self, X: Any) -> Distribution:
        """What is predicted where a distribution is."""
        raise NotImplementedError

    @distributional
    def predict_distribution(
        self, X: Any, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Distribution:
        """The distribution of every row's label: recalibrated by "pit", else as the model has it; see `predict`."""
        return self._predicted_distribution(self._carrying(X, offset, exposure))

    @distributional
    def predict_quantile(
        self, X: Any, q: float | ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Floats:
        """The quantile q of every row's label: (n_samples,), or (n_samples, len(q)) for a list of them; see `predict`."""
        return self._predicted_distribution(self._carrying(X, offset, exposure)).quantile(q)

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """R squared of the predictions; see `predict`."""
        predicted = self.predict(X, offset=offset, exposure=exposure)
        return float(r2_score(y, predicted, sample_weight=sample_weight))

    def check_carried(self, names: Collection[str]) -> None:
        """`ValueError` for what the model cannot take of the rows beside their features, by name."""
        for name in names:
            raise ValueError(f"{name}: {type(self).__name__} does not take it: {_TAKERS[name]}")

    def _carrying(self, X: Any, offset: Any, exposure: Any) -> Any:
        """X with what its rows bring, which must be what `fit` was given."""
        if offset is None and exposure is None and (not self.carried_ or isinstance(X, Table)):
            return X
        check_is_fitted(self)
        check_columns(self, X, reset=False)
        columns = Columns.union([part.columns_ for part in self.fitted_boosters()])
        table = carrying(Table.of(X, columns), {"offset": offset, "exposure": exposure})
        check_same(set(table.carried), set(self.carried_))
        return table

    def boosters(self) -> Iterator[Any]:
        """The estimators inside that take the parameters of boosting; itself, if it is one."""
        for part in self.get_params(deep=False).values():
            yield from boosters_in(part)

    def fitted_boosters(self) -> Iterator[Any]:
        """The fitted `GBRegressor`s inside; itself, if it is one."""
        for name, part in vars(self).items():
            if name.endswith("_"):
                yield from fitted_boosters_in(part)


def boosters_in(estimator: Any) -> Iterator[Any]:
    """`Model.boosters` of any estimator, scikit-learn's around ours included; none of what is no estimator."""
    yield from Model.boosters(estimator) if _is_foreign(estimator) else getattr(estimator, "boosters", lambda: ())()


def fitted_boosters_in(estimator: Any) -> Iterator[Any]:
    """`Model.fitted_boosters` of any estimator."""
    foreign = _is_foreign(estimator)
    yield from Model.fitted_boosters(estimator) if foreign else getattr(estimator, "fitted_boosters", lambda: ())()


def _is_foreign(estimator: Any) -> bool:
    return isinstance(estimator, BaseEstimator) and not isinstance(estimator, Model)


def labelled(name: str, model: BaseEstimator, parameters: Sequence[str]) -> str:
    """A name and the parameters that differ from their defaults, as the command line reads them."""
    # The signature's order puts what matters most first.
    defaults = {k: p.default for k, p in inspect.signature(type(model).__init__).parameters.items() if k in parameters}
    changed = {k: getattr(model, k) for k in defaults}
    parts = [f"{k}={_written(v)}" for k, v in changed.items() if repr(v) != repr(defaults[k])]
    return name + (":" + ",".join(parts) if parts else "")


def _written(value: Any) -> str:
    if isinstance(value, bool | list) or value is None:
        return json.dumps(value)
    return str(value)
