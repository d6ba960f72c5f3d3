#!/usr/bin/env bash
# Guess: Poisson boosting with an offset of log(exposure) starts from the best constant beside it, as it does without, so that it
# does not matter whether exposures are years or days.
# Seen: with lightgbm 4.7.0 (init_score), xgboost 3.4.1 (base_margin) and catboost 1.2.10 (baseline) the offset takes the place of
# the constant: training starts at one claim a unit of exposure, whatever base_score or boost_from_average say. Policies of up to
# a year at a rate of 0.1 a year, 100 rounds at learning rate 0.05: predictions of the training rows sum to 1.6 times the claims
# where exposures are years, and to 269 times where they are days (catboost 1.05 and 23). With the constant added to every row's
# offset by hand the sums are right.
# Output seen:
#   lightgbm: years 1.64, days 268.6, days and a constant 1.00
#   xgboost: years 1.65, days 268.6, days and a constant 0.99
#   catboost: years 1.05, days 22.6, days and a constant 1.00
# What gbreg does about it: the constant is found beside the offsets, and training starts from both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lightgbm==4.7.0 xgboost==3.4.1 catboost==1.2.10 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import catboost
import lightgbm as lgb
import numpy as np
import xgboost as xgb

rng = np.random.default_rng(0)
X, years = rng.normal(size=(20_000, 3)), rng.uniform(0.1, 1.0, 20_000)
y = rng.poisson(years * 0.1 * np.exp(0.5 * X[:, 0])).astype(float)
rounds, rate = 100, 0.05


def lightgbm(start):
    params = {"objective": "poisson", "learning_rate": rate, "num_threads": 1, "verbosity": -1}
    booster = lgb.train(params, lgb.Dataset(X, y, init_score=start), rounds)
    return booster.predict(X, raw_score=True) + start


def xgboost(start):
    data = xgb.DMatrix(X, y, base_margin=start)
    return xgb.train({"objective": "count:poisson", "learning_rate": rate, "nthread": 1}, data, rounds).predict(
        data, output_margin=True
    )


def catboosted(start):
    params = {"loss_function": "Poisson", "learning_rate": rate, "iterations": rounds, "verbose": 0}
    pool = catboost.Pool(X, y, baseline=start)
    return catboost.CatBoost(params | {"allow_writing_files": False}).fit(pool).predict(pool, prediction_type="RawFormulaVal")


for name, train in (("lightgbm", lightgbm), ("xgboost", xgboost), ("catboost", catboosted)):
    sums = []
    for unit, constant in ((1.0, 0.0), (365.0, 0.0), (365.0, np.log(y.sum() / (365.0 * years).sum()))):
        predicted = np.exp(train(np.log(unit * years) + constant))
        sums.append(float(predicted.sum() / y.sum()))
    print(f"{name}: years {sums[0]:.2f}, days {sums[1]:.1f}, days and a constant {sums[2]:.2f}")
    assert sums[1] > 10.0 and abs(sums[2] - 1.0) < 0.02
PY
