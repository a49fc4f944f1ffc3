"""What the commands of many pictures do, once :mod:`nst_utils.cli.many_options` has looked."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nst_utils.cli.exit_codes import COULD_NOT_GO_ON
from nst_utils.cli.handing_out import open_picture
from nst_utils.cli.many_options import executor_of, sweep_settings
from nst_utils.many.engine import Run
from nst_utils.many.jobs import Job, shown_name
from nst_utils.many.outcomes import CANCELLED, SKIPPED, Outcome, write_table
from nst_utils.many.plans import made_folder
from nst_utils.many.sweeps import sweep
from nst_utils.support.interrupts import exit_code
from nst_utils.support.messages import one_line, say, tell


def sweep_command(args: Namespace) -> int:
    begun = time.perf_counter()
    found = sweep(
        **sweep_settings(args),
        folder=args.output,
        zipped=args.zipped,
        resume=args.resume,
        executor=executor_of(args),
        threads=args.threads,
        progress=not args.quiet,
    )
    code = _finish(args, found.folder, found.outcomes, found.interrupted, begun, found.trouble)
    if args.open and (sheets := sorted(found.folder.glob("sheet*.png"))):
        open_picture(sheets[0])
    return code


def batch_command(args: Namespace, jobs: Sequence[Job]) -> int:
    begun = time.perf_counter()
    folder = made_folder(args.output)
    run = Run(jobs, folder, args.threads, None)
    run.do(executor_of(args), args.resume, not args.quiet)
    outcomes = [run.found[job.name] for job in jobs]
    told = [
        {
            "photograph": Path(job.files["content"]).name,
            "style": "+".join(map(shown_name, job.files["style"])),
        }
        for job in jobs
    ]
    trouble = ""
    try:
        write_table(folder, told, outcomes)
    except (OSError, ValueError) as error:
        trouble = f"{one_line(error, whole=True)}; the pictures are in {folder}"
    return _finish(args, folder, outcomes, run.interrupted, begun, trouble)


def _finish(
    args: Namespace,
    folder: Path,
    outcomes: Sequence[Outcome],
    interrupted: bool,
    begun: float,
    trouble: str,
) -> int:
    """A line for each picture that is not there, then one on all; the exit code."""
    there = [each for each in outcomes if each.is_there]
    often = Counter(each.message for each in outcomes)
    for each in outcomes:
        if each.is_there or each.state == CANCELLED or not often[each.message]:
            continue
        number = often.pop(each.message)  # what befell all of them is one line
        which = f"{each.name}.png" if number == 1 else f"{each.name}.png and {number - 1} more"
        say(f"{which}: {one_line(each.message, whole=True)}")
    if trouble:
        say(trouble)
    skipped = sum(each.state == SKIPPED for each in outcomes)
    told = f"{len(there)} of {len(outcomes)} pictures"
    told += f", {skipped} of them there before" if skipped else ""
    if interrupted:
        say(f"interrupted; {told} are in {folder}; the same command with --resume goes on")
        return exit_code()
    if not args.quiet:
        tell(f"{folder}  ({told}, table.csv; {time.perf_counter() - begun:.1f} s)")
    return 0 if len(there) == len(outcomes) and not trouble else COULD_NOT_GO_ON
