"""`python -m tests.fuzz [--seconds 60] [--seed N] [--target requests]`: stops at the first law that is broken, and says
how to see it again.
"""

import argparse
import random
import sys
import time

from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--target", choices=sorted(TARGETS))
    given = parser.parse_args()
    chosen = [given.target] if given.target else sorted(TARGETS)
    until, seed, tries = time.monotonic() + given.seconds, given.seed, 0
    while time.monotonic() < until:
        for name in chosen:
            try:
                TARGETS[name](random.Random(seed))
            except Exception:
                print(f"broken: python -m tests.fuzz --seconds 0.001 --seed {seed} --target {name}", file=sys.stderr)
                raise
            tries += 1
        seed += 1
    print(f"{tries:,} inputs for {', '.join(chosen)}: no law was broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
