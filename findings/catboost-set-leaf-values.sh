#!/usr/bin/env bash
# Guess: after CatBoost's set_leaf_values the model predicts with the new leaves, as LightGBM does after set_leaf_output; and a
# model that was read from a file can be changed like one that was trained.
# Seen: with catboost 1.2.10 the trained model goes on predicting with the old leaves, though get_leaf_values and the saved
# file hold the new ones; only what is read back from the file predicts with them. And a copy, or a model read from bytes,
# refuses: "Only solid models are modifiable".
# Output seen:
#   leaves changed by 100, as get_leaf_values tells: True
#   predictions changed: 0.0
#   predictions of the saved file changed: 100.0
#   copy: Only solid models are modifiable
#   read from bytes: Only solid models are modifiable
# What gbreg does about it: the intercept goes into the leaves of the trained model, which is then read back from its bytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet catboost==1.2.10 numpy==2.4.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
from pathlib import Path

import catboost
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3))
quiet = {"iterations": 1, "depth": 2, "thread_count": 1, "logging_level": "Silent", "allow_writing_files": False}
model = catboost.CatBoost(quiet).fit(X, X[:, 0])
before = model.predict(X)
model.set_leaf_values(model.get_leaf_values() + 100.0)
print("leaves changed by 100, as get_leaf_values tells:", bool((model.get_leaf_values() > 90).all()))
changed = float(np.abs(model.predict(X) - before).max())
print("predictions changed:", changed)
model.save_model("model.cbm")
read = catboost.CatBoost().load_model("model.cbm")
of_file = float(np.round(np.abs(read.predict(X) - before).max(), 9))
print("predictions of the saved file changed:", of_file)
assert changed == 0.0
assert of_file == 100.0
from_bytes = catboost.CatBoost().load_model(blob=Path("model.cbm").read_bytes())
for name, other in (("copy", model.copy()), ("read from bytes", from_bytes)):
    try:
        other.set_leaf_values(other.get_leaf_values())
    except catboost.CatBoostError as error:
        print(f"{name}:", str(error).split(": ")[-1])
    else:
        raise AssertionError(f"{name} can be changed")
PY
