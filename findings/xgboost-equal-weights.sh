#!/usr/bin/env bash
# Guess: one weight for all rows changes nothing but the scale of sums, so XGBoost's bins are those without weights, and with
# penalties off the model is the same.
# Seen: with xgboost 3.4.1 (3.2.0 too, 85 cuts) weights of 0.7 move most of the 256 cuts of 5,000 rows, weights of a power of two
# move none: it is what rounding would do to sums of 0.7 (the code was not read). After 100 rounds the root mean square change
# of a prediction is a fifteenth of the spread of y.
# Output seen:
#   weight 1.0: 0 of 256 cuts moved, predictions by 0.000 of the spread of y
#   weight 0.5: 0 of 256 cuts moved, predictions by 0.000 of the spread of y
#   weight 0.7: 226 of 256 cuts moved, predictions by 0.067 of the spread of y
# What gbreg does about it: equal weights are set after the bins are made, and so is what a native form divides weights by.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet xgboost==3.4.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import xgboost as xgb

rng = np.random.default_rng(0)
X = rng.normal(size=(5000, 1)).astype(np.float32)
y = np.exp(X[:, 0] + rng.normal(size=5000))
params = {"tree_method": "hist", "max_bin": 255, "lambda": 0.0, "min_child_weight": 0.0, "nthread": 1, "base_score": 1.0}
moved, changed = {}, {}
for weight in (None, 1.0, 0.5, 0.7):
    data = xgb.QuantileDMatrix(X, y, weight=None if weight is None else np.full(5000, weight), max_bin=255)
    cuts = data.get_quantile_cut()[1]
    predicted = xgb.train(params, data, 100).predict(xgb.DMatrix(X))
    if weight is None:
        plain, before = cuts, predicted
        continue
    moved[weight] = int((cuts != plain).sum())
    changed[weight] = float(np.sqrt(np.mean((predicted - before) ** 2)) / y.std())
    print(f"weight {weight}: {moved[weight]} of {cuts.size} cuts moved, predictions by {changed[weight]:.3f} of the spread of y")
assert moved[1.0] == moved[0.5] == 0
assert moved[0.7] > 100
assert changed[0.7] > 10 * max(changed[1.0], changed[0.5], 0.001)
PY
