"""Draws the curves of a training as SVG, from the curve.csv that train_sam.py and train_policy.py write.

python curves.py sam    WORK/curve.csv OUT.svg
python curves.py policy WORK/curve.csv OUT.svg
"""

import csv
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

import scenes  # noqa: E402

# what to draw: (name, column) on one axis
LINES = {
    "sam": [
        (f"{level}, {click} clicks", 2 + 5 * i + click - 1)
        for i, level in enumerate(scenes.LEVELS)
        for click in (1, 5)
    ],
    "policy": [(f"first click inside, {level}", 2 + i) for i, level in enumerate(scenes.LEVELS)]
    + [("error of the IoU of damaged masks", 5)],
}


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in LINES:
        raise SystemExit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as file:
        rows = [[float(v) for v in row] for row in csv.reader(file)]
    matplotlib.rcParams["svg.hashsalt"] = "curves"
    figure, axis = plt.subplots(figsize=(7, 4))
    for name, column in LINES[sys.argv[1]]:
        axis.plot([r[0] for r in rows], [r[column] for r in rows], label=name, linewidth=1.2)
    axis.set_xlabel("steps")
    axis.set_ylabel("mean IoU on validation scenes" if sys.argv[1] == "sam" else "share, error")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(sys.argv[3], metadata={"Date": None})


if __name__ == "__main__":
    main()
