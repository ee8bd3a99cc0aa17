"""What both trainings share: averaged weights, a checkpoint to go on from, a curve, the loop around them."""

import argparse
import csv
import os
import time

import torch

SAVED = ("average", "step", "seconds", "chunk")
SAVE_EVERY = 250  # steps


class Training:
    """A model in training.

    modules     {"model": what is trained and averaged, and what else is trained beside it}
    optimisers  [(optimiser, the rate that it starts from)]

    A subclass has next_batch(), which also sets self.chunk to the chunk of scenes to go on with;
    losses(batch), {name: tensor}; total(losses); factor(), what the rates are multiplied with; clip, the
    longest gradient; make(), an untrained model; figures(model), what the curve keeps; and write(model,
    directory).
    """

    clip = 1.0

    def __init__(self, options, modules, optimisers):
        self.options, self.modules, self.optimisers = options, modules, optimisers
        self.model = modules["model"]
        self.average = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.step, self.seconds, self.chunk = 0, 0.0, 0
        self.means = {}
        self.path = os.path.join(options.work, "checkpoint.pt")
        if os.path.exists(self.path):
            self.load()
        elif options.start:
            self.begin_with(options.start)

    def load(self):
        state = torch.load(self.path, weights_only=False)
        for name, module in self.modules.items():
            module.load_state_dict(state[name])
        for (optimiser, _), saved in zip(self.optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)
        for name in SAVED:
            setattr(self, name, state[name])

    def begin_with(self, directory):
        weights = type(self.model).from_pretrained(directory, dtype=torch.float32).state_dict()
        self.model.load_state_dict(weights)
        self.average = {name: weight.clone() for name, weight in weights.items()}

    def save(self):
        state = {name: getattr(self, name) for name in SAVED}
        state.update({name: module.state_dict() for name, module in self.modules.items()})
        state["optimisers"] = [optimiser.state_dict() for optimiser, _ in self.optimisers]
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def averaged(self):
        model = self.make()
        model.load_state_dict(self.average)
        return model.eval()

    def follow(self):
        """Weights averaged over some 500 steps; fewer while training is young."""
        keep = min(0.998, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for name, weight in self.model.state_dict().items():
                if weight.is_floating_point():
                    self.average[name].lerp_(weight, 1 - keep)

    def advance(self, batch):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.bf16):
            parts = self.losses(batch)
        for optimiser, most in self.optimisers:
            optimiser.param_groups[0]["lr"] = most * self.factor()
            optimiser.zero_grad()
        self.total(parts).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        for optimiser, _ in self.optimisers:
            optimiser.step()
        self.follow()
        self.step += 1
        for name, part in parts.items():
            self.means[name] = 0.98 * self.means.get(name, part.item()) + 0.02 * part.item()

    def report(self):
        figures = self.figures(self.averaged())
        row = [self.step, round(self.seconds / 60, 1)] + [round(float(f), 4) for f in figures]
        with open(os.path.join(self.options.work, "curve.csv"), "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)
        print("validation", row, flush=True)

    def tell(self, begun):
        means = " ".join(f"{name} {mean:.3f}" for name, mean in self.means.items())
        print(f"step {self.step} {means} {(self.seconds + time.time() - begun) / 60:.1f} min", flush=True)

    def train(self):
        begun = time.time()
        while self.step < self.options.steps:
            self.advance(self.next_batch())
            if self.step % 50 == 0:
                self.tell(begun)
            if self.step % SAVE_EVERY == 0:
                self.seconds += time.time() - begun
                self.save()
                begun = time.time()
            if self.step % self.options.every == 0 or self.step == self.options.steps:
                self.report()
                begun = time.time()
        self.save()
        self.write(self.averaged().to(torch.bfloat16), os.path.join(self.options.work, "model"))


def arguments(about, steps, rate, validate):
    """A parser with the options that both trainings have."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="segagent, which draws the scenes")
    parser.add_argument("--work", required=True, help="checkpoint, curve and result; scratch for scenes")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--every", type=int, default=1000, help="steps between measurements")
    parser.add_argument("--validate", type=int, default=validate, help="validation scenes of each level")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="matrix products in bf16, where that is faster")
    parser.add_argument("--start", metavar="DIR", help="begin with the weights of this model, not at random")
    return parser


def prepare(options):
    torch.set_num_threads(options.threads)
    os.makedirs(options.work, exist_ok=True)
