#!/usr/bin/env python3
"""Runs other optimisers on the rows of optimizer_rows and appends one line a run to a CSV file.

Usage: run_peers.py PROGRAM OUT.csv SUITE EVALUATIONS FIRST_SEED SEEDS PEER[,PEER...] [ROW]
  PROGRAM  build/release/bench/optimizer_rows
  SUITE    functions | limited
  PEER     tpe | cma | random (Optuna), ngopt (nevergrad)

Wants optuna, cmaes and nevergrad in the environment of the Python that runs it. Reported setting:
least value told (with metrics: least cost among settings measured inside the limit).
"""

import csv
import subprocess
import sys
import warnings

FUNCTION_ROWS = """Branin-2D Hartmann6 IntAckley-5D LogSphere-4D Mixed-5 Conditional-5 Beale-2D
Booth-2D Schwefel-2D StochRosen-2D Sphere-2D Sphere-5D Sphere-10D Rosenbrock-2D Rosenbrock-5D
Quadratic-10D Quadratic-20D Rastrigin-2D Rastrigin-5D Rastrigin-10D Ackley-2D Ackley-5D Levy-2D
Levy-5D Griewank-5D NoisySphere-5D""".split()
LIMITED_ROWS = """cliff-2 metrics-2 graded-3 cliff-4 metrics-4 graded-5 metrics-6 cliff-6 metrics-8
cliff-8""".split()


class Problem:
    """One row and seed behind a pipe; losses are smaller-is-better."""

    def __init__(self, program, suite, row, seed):
        self.process = subprocess.Popen([program, "serve", suite, row, str(seed)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.knobs = []
        self.channel = None
        for line in self.process.stdout:
            words = line.split()
            if words[0] == "ready":
                break
            if words[0] == "channel":
                self.channel = words[1]
                continue
            _, name, kind, scale, low, high, choices, default = words
            self.knobs.append({"name": name, "kind": kind, "log": scale == "Log", "low": float(low),
                               "high": float(high), "choices": int(choices),
                               "default": None if default == "-" else float(default)})
        self.best = None

    def say(self, verb, values):
        self.process.stdin.write(verb + " " + " ".join(repr(float(v)) for v in values) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().split()

    def ask(self, values):
        """(loss, excess, crashed); keeps the best told."""
        value, excess, crashed = self.say("ask", values)
        loss = -float(value) if self.channel == "reward" else float(value)
        excess, crashed = float(excess), crashed == "1"
        if crashed:
            loss, excess = 1000.0, 1.0
        if not crashed and excess <= 0 and (self.best is None or loss < self.best[0]):
            self.best = (loss, list(values))
        return loss, excess, crashed

    def close(self):
        values = self.best[1] if self.best else [k["low"] for k in self.knobs]
        verdict = self.say("best", values)
        self.process.stdin.close()
        self.process.wait()
        return verdict

    def default(self):
        if all(k["default"] is not None for k in self.knobs):
            return {k["name"]: k["default"] for k in self.knobs}
        return None


def run_optuna(problem, evaluations, seed, kind):
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if kind == "random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    elif kind == "cma":
        sampler = optuna.samplers.CmaEsSampler(seed=seed)
    else:
        limits = (lambda t: (t.user_attrs["excess"],)) if problem.channel == "metrics" else None
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constraints_func=limits)

    def objective(trial):
        values = []
        for k in problem.knobs:
            if k["kind"] in ("categorical", "bool"):
                count = 2 if k["kind"] == "bool" else k["choices"]
                values.append(trial.suggest_categorical(k["name"], list(range(count))))
            elif k["kind"] == "int":
                values.append(trial.suggest_int(k["name"], int(k["low"]), int(k["high"]),
                                                log=k["log"]))
            else:
                values.append(trial.suggest_float(k["name"], k["low"], k["high"], log=k["log"]))
        loss, excess, _ = problem.ask(values)
        trial.set_user_attr("excess", excess)
        # CMA-ES and random have no channel for a limit: it is told as the penalty.
        return 1000.0 if excess > 0 and kind != "tpe" else loss

    study = optuna.create_study(sampler=sampler)
    default = problem.default()
    if default:
        kinds = {k["name"]: k["kind"] for k in problem.knobs}
        study.enqueue_trial({n: v if kinds[n] == "float" else int(v) for n, v in default.items()})
    study.optimize(objective, n_trials=evaluations)


def run_nevergrad(problem, evaluations, seed):
    import nevergrad as ng
    parts = {}
    for k in problem.knobs:
        if k["kind"] in ("categorical", "bool"):
            count = 2 if k["kind"] == "bool" else k["choices"]
            parts[k["name"]] = ng.p.Choice(list(range(count)))
        elif k["log"]:
            parts[k["name"]] = ng.p.Log(lower=k["low"], upper=k["high"])
        else:
            parts[k["name"]] = ng.p.Scalar(lower=k["low"], upper=k["high"])
        if k["kind"] == "int":
            parts[k["name"]].set_integer_casting()
    space = ng.p.Dict(**parts)
    space.random_state.seed(seed)
    optimizer = ng.optimizers.NGOpt(parametrization=space, budget=evaluations)
    default = problem.default()
    if default:
        optimizer.suggest({k["name"]: default[k["name"]] if k["kind"] == "float"
                           else int(default[k["name"]]) for k in problem.knobs})
    for _ in range(evaluations):
        asked = optimizer.ask()
        loss, excess, _ = problem.ask([asked.value[k["name"]] for k in problem.knobs])
        optimizer.tell(asked, 1000.0 if excess > 0 else loss)


def versions():
    from importlib.metadata import version
    return " ".join(f"{p}-{version(p)}" for p in ("optuna", "cmaes", "nevergrad"))


def main(program, out, suite, evaluations, first, count, peers, only=None):
    warnings.simplefilter("ignore")
    rows = FUNCTION_ROWS if suite == "functions" else LIMITED_ROWS
    with open(out, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(["peer", "suite", "row", "evaluations", "seed", "verdict", "versions"])
        for row in rows:
            if only and row != only:
                continue
            for seed in range(int(first), int(first) + int(count)):
                for peer in peers.split(","):
                    problem = Problem(program, suite, row, seed)
                    if peer == "ngopt":
                        run_nevergrad(problem, int(evaluations), seed)
                    else:
                        run_optuna(problem, int(evaluations), seed, peer)
                    verdict = " ".join(problem.close())
                    writer.writerow([peer, suite, row, evaluations, seed, verdict, versions()])
                    file.flush()


if __name__ == "__main__":
    if len(sys.argv) < 8:
        sys.exit(__doc__)
    main(*sys.argv[1:])
