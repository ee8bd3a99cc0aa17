"""Masks that the segmenter makes of clicks, for the policy to be trained on: the policy's own clicks, the
annotator's and random ones, by `segagent annotate` and `segagent trajectories`.

  python rollouts.py --binary build/release/segagent --agent DIR --pool DIR [--kinds NAME ...] [--first N]
                     [--parts N] [--scenes N]

Each part is a directory LEVEL-NUMBER of --pool: training scenes, and states.jsonl with what was made of each
phrase, {"row": line of the manifest, "states": [RLE]}. Its number chooses one of --kinds, in turn. A part
appears when it is whole; one that stands there is not made again. With --kinds star or star-plain it holds
lessons.jsonl instead, of `segagent star`: states with the click to make there.
"""

import argparse
import json
import os
import shutil
import subprocess

import scenes

FIRST_SCENE = 10_000_000  # of the training seed: no scene that policy_data draws for itself
STEPS = 7
COMMANDS = {
    "model": ["annotate", "--search", "greedy", "--steps", str(STEPS)],
    "sampled": ["annotate", "--search", "prm-greedy", "--candidates", "3", "--steps", "4", "--trace"],
    "annotator": ["annotate", "--search", "greedy", "--policy", "annotator", "--steps", str(STEPS)],
    "clumsy": ["trajectories", "--start", "clicks", "--steps", str(STEPS)],
    "random": ["annotate", "--search", "greedy", "--policy", "random", "--steps", "4"],
    "star": ["star", "--rule", "plus", "--steps", str(STEPS)],
    "star-plain": ["star", "--rule", "plain", "--enough", "0.7", "--steps", str(STEPS)],
}
USUAL = ["model", "sampled", "model", "clumsy", "model", "random"]


def run_engine(options, directory, kind):
    """The run's directory."""
    out = os.path.join(directory, "run")
    command = [options.binary] + COMMANDS[kind]
    command += ["--agent", options.agent, "--input", os.path.join(directory, "manifest.jsonl")]
    command += ["--output", out, "--threads", str(options.threads), "--batch", "32", "--precision", "f32"]
    subprocess.run(command + ["--quiet"], check=True, stdout=subprocess.DEVNULL)
    return out


def write_states(run, path):
    """The masks of each result, the empty one at the beginning left out."""
    with open(os.path.join(run, "results.jsonl"), encoding="utf-8") as rows, open(
        path, "w", encoding="utf-8"
    ) as file:
        for row, line in enumerate(rows):
            result = json.loads(line)
            states = [s["mask"] for s in (result.get("tree") or result["steps"])[1:]]
            file.write(json.dumps({"row": row, "states": states}) + "\n")


def make_part(options, level, number):
    final = os.path.join(options.pool, f"{level}-{number:04d}")
    if os.path.exists(final):
        return
    directory = final + ".new"
    kind = options.kinds[number % len(options.kinds)]
    first = FIRST_SCENE + number * options.scenes
    scenes.draw(options.binary, directory, "train", level, first, options.scenes, phrases=5, masks=True)
    run = run_engine(options, directory, kind)
    if kind.startswith("star"):
        os.replace(os.path.join(run, "lessons.jsonl"), os.path.join(directory, "lessons.jsonl"))
    else:
        write_states(run, os.path.join(directory, "states.jsonl"))
    shutil.rmtree(run)
    os.replace(directory, final)


def keep_newest(pool, level, most):
    """The oldest parts go: what the policy does now matters more than what it did."""
    parts = sorted(p for p in os.listdir(pool) if p.startswith(level + "-") and not p.endswith(".new"))
    for part in parts[: max(0, len(parts) - most)]:
        shutil.rmtree(os.path.join(pool, part))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", required=True)
    parser.add_argument("--agent", required=True, help="agent directory: segmenter and policy")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--kinds", nargs="+", choices=list(COMMANDS), default=USUAL)
    parser.add_argument("--first", type=int, default=0, help="number of the first part")
    parser.add_argument("--parts", type=int, default=6, help="of each level")
    parser.add_argument("--scenes", type=int, default=200, help="of each part")
    parser.add_argument("--keep", type=int, default=40, help="parts of each level that stay")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.makedirs(options.pool, exist_ok=True)
    for number in range(options.first, options.first + options.parts):
        for level in scenes.LEVELS:
            make_part(options, level, number)
            keep_newest(options.pool, level, options.keep)
            print(f"{level} {number}", flush=True)


if __name__ == "__main__":
    main()
