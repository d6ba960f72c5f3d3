#!/usr/bin/env bash
# Guess: YDF's RegressionLoss takes the gradient and the Hessian of the loss, (prediction - label, 1) for squared error, as
# LightGBM and XGBoost do; or both with the sign turned, as CatBoost does.
# Seen: YDF 0.16.1 takes the gradient of the loss with its sign and the Hessian with its sign turned, (prediction - label, -1).
# The other three pairs of signs run away from the labels, to NaN or infinity, without an error. The rows' weights, which the
# function is not given, are multiplied in by YDF, unlike in the other three: the leaves are weighted means.
# Output seen (labels in four groups, after 20 trees):
#   weighted means           [ 4.541 14.515 24.603 34.447]
#   gradient +, Hessian -    [ 4.5377316 14.503124  24.583683  34.419415 ]
#   gradient +, Hessian +    [nan nan nan nan]
#   gradient -, Hessian +    [-inf -inf -inf -inf]
#   gradient -, Hessian -    [ -858.5418 -2744.     -4651.2476 -6512.175 ]
# What gbreg does about it: YDF is not among its engines; whoever adds it starts from these signs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ydf==0.16.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import ydf

ydf.verbose(0)
rng = np.random.default_rng(0)
x = rng.integers(0, 4, 4000).astype(float)
weight = np.where(rng.random(4000) < 0.5, 1.0, 9.0)
y = 10 * x + rng.normal(size=4000) + np.where(weight > 5, 5.0, 0.0)
means = np.array([np.average(y[x == k], weights=weight[x == k]) for k in range(4)])
print("weighted means".ljust(24), np.round(means, 3))


def fitted(gradient_sign, hessian_sign):
    loss = ydf.RegressionLoss(
        initial_predictions=lambda labels, weights: np.float32(0),
        loss=lambda labels, predictions, weights: np.float32(0),
        gradient_and_hessian=lambda labels, predictions: (
            np.float32(gradient_sign * (predictions - labels)),
            np.full_like(labels, hessian_sign),
        ),
        activation=ydf.Activation.IDENTITY,
    )
    learner = ydf.GradientBoostedTreesLearner(
        label="y", weights="w", task=ydf.Task.REGRESSION, loss=loss, num_trees=20, shrinkage=0.3, validation_ratio=0.0
    )
    return learner.train({"x": x, "y": y, "w": weight}).predict({"x": np.arange(4.0)})


for signs in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
    predicted = fitted(*signs)
    name = ", ".join(f"{what} {'+' if s > 0 else '-'}" for what, s in zip(("gradient", "Hessian"), signs))
    print(name.ljust(24), predicted)
    if signs == (1, -1):
        np.testing.assert_allclose(predicted, means, rtol=0.01)
    else:
        assert not np.all(np.abs(predicted - means) < 100)
PY
