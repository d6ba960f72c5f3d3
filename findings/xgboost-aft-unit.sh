#!/usr/bin/env bash
# Guess: XGBoost estimates where boosting starts from the labels, as it does for its regressions, so survival:aft predicts times
# of any unit alike: labels in milliseconds give a thousand times what seconds give.
# Seen: with xgboost 3.4.1 survival:aft starts at base_score 0.5 whatever the labels are, and every round goes a tenth of the way
# in logarithms. After 20 rounds at learning rate 0.1 the geometric mean of predictions is 0.77 of the truth for times around 3,
# 0.06 where the same times are 3,600 times as large, and less than 0.005 in milliseconds; after 100 rounds all are within 2%.
# The default of 10 rounds of xgboost.train sees that start, not the data.
# Output seen:
#   20 rounds: unit 1: 0.77, unit 3600: 0.06, unit 3.6e+06: 0.00
#   100 rounds: unit 1: 1.02, unit 3600: 1.01, unit 3.6e+06: 1.01
# What gbreg does about it: censored log-normal labels start from Kaplan-Meier moments, in any unit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xgboost==3.4.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import xgboost as xgb

rng = np.random.default_rng(0)
X = rng.normal(size=(3000, 2))
true = np.exp(1 + X[:, 0] + 0.5 * rng.normal(size=3000))
end = rng.exponential(8, 3000)
seen, censored = np.minimum(true, end), true > end
params = {"objective": "survival:aft", "aft_loss_distribution": "normal", "aft_loss_distribution_scale": 0.5}
params |= {"learning_rate": 0.1, "max_depth": 3, "nthread": 1}
share = {}
for rounds in (20, 100):
    for unit in (1.0, 3600.0, 3.6e6):
        data = xgb.DMatrix(X)
        data.set_float_info("label_lower_bound", unit * seen)
        data.set_float_info("label_upper_bound", np.where(censored, np.inf, unit * seen))
        predicted = xgb.train(params, data, rounds).predict(xgb.DMatrix(X)) / unit
        share[rounds, unit] = float(np.exp(np.log(predicted).mean() - np.log(true).mean()))
    print(f"{rounds} rounds: " + ", ".join(f"unit {unit:g}: {share[rounds, unit]:.2f}" for unit in (1.0, 3600.0, 3.6e6)))
assert share[20, 1.0] > 0.7
assert share[20, 3600.0] < 0.2
assert share[20, 3.6e6] < 0.1
assert all(0.9 < share[100, unit] < 1.1 for unit in (1.0, 3600.0, 3.6e6))
PY
