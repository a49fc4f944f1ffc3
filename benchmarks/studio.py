"""How quickly the studio answers while it paints, and what showing the run costs.

    python benchmarks/studio.py                  # 256 and 512 px, about five minutes on two cores

Prints, for each size: seconds from a press to its effect (pause, stop; median and worst of 20, at
random moments of a run), the length of one step for comparison, and the time of a run in the
studio, with all that it draws, as a ratio to the same run of ``nst.transfer`` without.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from nst_utils.app.recipes import Recipe
from nst_utils.app.sessions import Session
from nst_utils.app.studio import Studio

PRESSES, STEPS = 20, 30


def seconds_until(session: Session, state: str) -> float:
    begun = time.perf_counter()
    while session.state != state:
        time.sleep(0.002)
    return time.perf_counter() - begun


def pauses(recipe: Recipe) -> tuple[list[float], float]:
    """Seconds from each pause to its effect, and seconds a step."""
    session = Session(recipe.run({}))
    session.start()
    while session.step is None:
        time.sleep(0.01)
    found = []
    for _ in range(PRESSES):
        time.sleep(random.uniform(0.2, 1.5))
        session.pause()
        found.append(seconds_until(session, "paused"))
        session.resume()
        seconds_until(session, "running")
    pace = session.seconds / session.step.number
    session.stop(wait=60)
    return found, pace


def stops(recipe: Recipe) -> list[float]:
    """Seconds from each stop to its effect."""
    found = []
    for _ in range(PRESSES):
        session = Session(recipe.run({}))
        session.start()
        while session.step is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0.2, 1.5))
        begun = time.perf_counter()
        session.stop(wait=60)
        found.append(time.perf_counter() - begun)
    return found


def with_and_without_pictures(recipe: Recipe) -> float:
    """Seconds in the studio over seconds without, the two in turns; the median of three."""
    ratios = []
    for _ in range(3):
        bare = Session(recipe.run({}))
        bare.run_here()
        studio = Studio(recipe, blocking=True)
        studio._start()
        assert studio.session is not None
        ratios.append(studio.session.seconds / bare.seconds)
        studio.close()
    return statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    random.seed(0)
    for size in parser.parse_args().sizes:
        long = Recipe(size=size, steps=3000, init="content")  # at full size from the first step
        paused, pace = pauses(long)
        stopped = stops(long)
        ratio = with_and_without_pictures(Recipe(size=size, steps=STEPS, init="content"))
        print(f"{size} px, {pace:.2f} s a step")
        for name, times in (("pause", paused), ("stop", stopped)):
            print(f"  {name}: median {statistics.median(times):.3f} s, worst {max(times):.3f} s")
        print(f"  {STEPS} steps in the studio / without: {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
