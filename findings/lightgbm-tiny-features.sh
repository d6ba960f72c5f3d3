#!/usr/bin/env bash
# Guess: LightGBM bins features by their order in float64, so a column times 1e-40 trains the same model as the column itself.
# Seen: with lightgbm 4.7.0 every value of at most 1e-35 is 0, in training and prediction, dense and with zero_as_missing off:
# a column of likelihoods or p-values around 1e-40 teaches nothing, without a word. Great values are safe, up to 1e300.
# Output seen:
#   spread of predictions, column times 1e+00: 99.0
#   spread of predictions, column times 1e+300: 99.0
#   spread of predictions, column times 1e-30: 99.0
#   spread of predictions, column times 1e-40: 0.0
# What gbreg does about it: such a column reaches the booster as the ranks of its values, as do those that float32 merges.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lightgbm==4.7.0 numpy==2.4.0
"$folder/venv/bin/python" - <<'PY'
import lightgbm as lgb
import numpy as np

y = np.repeat(np.arange(100.0), 10)
params = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 1, "num_leaves": 100, "learning_rate": 1.0}
spread = {}
for unit in (1.0, 1e300, 1e-30, 1e-40):
    X = unit * (1.0 + y[:, None])
    spread[unit] = round(float(np.ptp(lgb.train(params, lgb.Dataset(X, y), 20).predict(X))), 1)
    print(f"spread of predictions, column times {unit:.0e}: {spread[unit]}")
assert min(spread[1.0], spread[1e300], spread[1e-30]) > 90
assert spread[1e-40] == 0
PY
