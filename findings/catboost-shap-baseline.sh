#!/usr/bin/env bash
# Guess: SHAP values of CatBoost, expected value included, add up to the raw prediction of the same Pool, whatever it holds.
# Seen: with catboost 1.2.10 predict adds a Pool's baseline (the offset of a claims model), and ShapValues of the very same Pool
# leave it out: they add up to the prediction of the Pool without it. LossFunctionChange and eval_metrics do count it.
# Output seen:
#   predict: with the baseline less without it is the baseline to 2e-07
#   ShapValues of the Pool with it: off from its predictions by up to 6.02, from those without it by 1.7e-16
#   eval_metrics: -2.20764 with it, -2.20764 by hand
# What gbreg does about it: matrices for explanations hold no baseline, and explain what the features add.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet catboost==1.2.10 numpy==2.4.6
cd "$folder"  # eval_metrics leaves files where it runs
"$folder/venv/bin/python" - <<'PY'
import numpy as np
from catboost import CatBoost, Pool

rng = np.random.default_rng(0)
X, start = rng.normal(size=(800, 3)), 2.0 * rng.normal(size=800)
y = rng.poisson(np.exp(0.3 * X[:, 0] + start - 1.0)).astype(float)
params = {"loss_function": "Poisson", "iterations": 20, "verbose": 0, "allow_writing_files": False}
with_it, without = Pool(X, y, baseline=start), Pool(X, y)
model = CatBoost(params).fit(with_it)
raw, bare = (model.predict(pool, prediction_type="RawFormulaVal") for pool in (with_it, without))
added = float(np.abs(raw - bare - start).max())
explained = model.get_feature_importance(with_it, type="ShapValues").sum(axis=1)
off, off_bare = float(np.abs(explained - raw).max()), float(np.abs(explained - bare).max())
measured = model.eval_metrics(with_it, ["Poisson"])["Poisson"][-1]
by_hand = float(np.mean(np.exp(raw) - y * raw))
print(f"predict: with the baseline less without it is the baseline to {added:.0e}")
print(f"ShapValues of the Pool with it: off from its predictions by up to {off:.2f}, from those without it by {off_bare:.1e}")
print(f"eval_metrics: {measured:.5f} with it, {by_hand:.5f} by hand")
assert added < 1e-5 and off_bare < 1e-9 and abs(measured - by_hand) < 1e-4
assert off > 1.0
PY
