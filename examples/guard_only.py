import math
import random
from arqonhpo import Guard, Trial

def serve(p):  # your engine: one request, in ms; here large batches wait and small ones queue
    return (40 + 800 / p["batch_size"] + 2 * p["batch_size"]) * math.exp(random.gauss(0, 0.4))

try:
    import optuna  # whose proposals these are does not matter
    study = optuna.create_study()
    propose = lambda: {"batch_size": study.ask().suggest_int("batch_size", 1, 64)}
except ImportError:
    propose = lambda: {"batch_size": random.randint(1, 64)}
minutes = iter(range(0, 10**6, 120))  # leave clock= out to use the system's own
guard = Guard({"bounds": {"batch_size": {"type": "int", "min": 1, "max": 64}},
               "guardrails": {"preset": "aggressive"}}, {"batch_size": 8}, lambda: next(minutes))
for _ in range(40):
    found, wish = guard.confirmed, propose()
    if not (verdict := guard.propose(wish)):
        print(f"{found} -> {wish} refused: {verdict.why}")
        continue
    trial = Trial(margin=0.02)
    while trial.judge().verdict == "inconclusive" and trial.counts("canary")[0] < 10000:
        for arm, params in (("canary", wish), ("control", found)) * 25:
            trial.observe(arm, ms := serve(params), good=ms < 400)
        trial.end_block()
    guard.confirm() if trial.judge().verdict == "pass" else guard.revert(failed=True)
    print(f"{found} -> {wish} {trial.judge().verdict} ({trial.judge().test})")
print("in force:", guard.in_force)
