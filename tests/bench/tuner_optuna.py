# SPDX-License-Identifier: MIT
"""Samplers of Optuna, asked by tuner_replay on standard input:

new SAMPLER SEED M_STEPS EC_STEPS WITH_EF    a new study
ask                                          answered by the numbers of m and ef_construction, and ef_search
tell VALUE                                   of what was asked last: to be as little as can be
"""
import sys
import optuna
from optuna.distributions import IntDistribution

optuna.logging.set_verbosity(optuna.logging.ERROR)
SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "cma": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
}

for line in sys.stdin:
    word, *rest = line.split()
    if word == "new":
        sampler, seed, steps_m, steps_ec, with_ef = rest
        study = optuna.create_study(sampler=SAMPLERS[sampler](int(seed)))
        space = {"m": IntDistribution(0, int(steps_m) - 1), "ec": IntDistribution(0, int(steps_ec) - 1)}
        if with_ef == "1":
            space["es"] = IntDistribution(10, 200, log=True)
    elif word == "ask":
        trial = study.ask(space)
        print(trial.params["m"], trial.params["ec"], trial.params.get("es", 0), flush=True)
    else:
        study.tell(trial, float(rest[0]))
