"""The command line, ``nst``: bad input ends with exit code 2 and one line that says what to do."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Sequence
from functools import partial

from nst_utils import __version__
from nst_utils.cli import early, handing_out, lists, many_options
from nst_utils.cli.completion import add_completion_options, print_completion
from nst_utils.cli.figure_options import (
    RECONSTRUCT_CONTENT,
    RECONSTRUCT_STYLE,
    TRANSFER,
    add_content_options,
    add_texture_options,
    add_transfer_options,
)
from nst_utils.cli.grammar import Command, Parser, refuse
from nst_utils.cli.options import add_device_option
from nst_utils.cli.serving import add_studio_options, studio_command
from nst_utils.cli.waiting import sleep_sooner
from nst_utils.cli.wording import in_options
from nst_utils.support import checks
from nst_utils.support.interrupts import command_ends_once, exit_code
from nst_utils.support.messages import STDERR, STDOUT, claim_numbers, say, silent, tell, wording

DESCRIPTION = """Paints a photograph in the style of a painting, as Gatys, Ecker and Bethge did
(Image Style Transfer Using Convolutional Neural Networks, CVPR 2016)."""
EXAMPLES = """examples:
  nst demo -o demo.png                                  pictures that come with it
  nst transfer photo.jpg painting.jpg -o out.png        your own
  nst transfer photo.jpg starry-night -o out.png --size 768 --content-weight 1e-2

"nst COMMAND --help" tells what a command takes."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``nst`` and its commands."""
    parser = Parser(
        prog="nst",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"nst {__version__}")
    subparsers = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Command
    )

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> Command:
        sub = subparsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    add_transfer_options(command("transfer", _transfer, TRANSFER))
    add_content_options(command("reconstruct-content", _reconstruct_content, RECONSTRUCT_CONTENT))
    add_texture_options(command("reconstruct-style", _reconstruct_style, RECONSTRUCT_STYLE))
    many_options.add_sweep_options(command("sweep", _sweep, many_options.SWEEP))
    many_options.add_batch_options(command("batch", _batch, many_options.BATCH))
    sub = command("demo", _demo, "paint a bundled photograph like a bundled painting")
    sub.add_argument("-o", "--output", required=True, metavar="OUT.png", help="picture to write")
    add_device_option(sub)

    sub = command("studio", studio_command, "open the studio, an app in the browser")
    add_studio_options(sub)

    command("presets", lists.presets_command, "print every preset's settings")
    command(
        "samples", lists.samples_command, "print the bundled pictures, which can be used by name"
    )
    sub = command("notebooks", handing_out.notebooks_command, "copy the notebooks into a folder")
    sub.add_argument("folder", metavar="DIR", help="made where it is not there")
    sub = command("doctor", _doctor, "check this installation")
    add_device_option(sub)
    script = "print what a shell needs to complete commands and names"
    sub = command("completion", lambda args: print_completion(parser, args.shell), script)
    add_completion_options(sub)
    return parser


# What needs torch is loaded here, when it is known that the command can be done.


def _transfer(args: argparse.Namespace) -> int:
    early.check_transfer(args)
    from nst_utils.cli import commands

    return commands.transfer_command(args)


def _reconstruct_content(args: argparse.Namespace) -> int:
    early.check_reconstruction(args)
    from nst_utils.cli import commands

    return commands.reconstruct_content_command(args)


def _reconstruct_style(args: argparse.Namespace) -> int:
    early.check_reconstruction(args)
    from nst_utils.cli import commands

    return commands.reconstruct_style_command(args)


def _sweep(args: argparse.Namespace) -> int:
    many_options.check_sweep(args)
    from nst_utils.cli import many

    return many.sweep_command(args)


def _batch(args: argparse.Namespace) -> int:
    jobs = many_options.batch_jobs(args)
    from nst_utils.cli import many

    return many.batch_command(args, jobs)


def _doctor(args: argparse.Namespace) -> int:
    from nst_utils.cli.doctor import doctor

    return doctor(args.device)


def _demo(args: argparse.Namespace) -> int:
    """Print the command that makes the demo's picture, and run it."""
    from nst_utils.cli import commands

    arguments = commands.demo_arguments(args.output, args.device)
    tell(" ".join(["nst", *arguments]))
    return main(arguments)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``nst``; return its exit code: 0, 2 for bad input, 130 when interrupted (143 by SIGTERM,
    129 by SIGHUP), 1 when a picture could not go on to the end or nothing could be printed."""
    own = argv is None  # then the process ends with this
    if own:
        claim_numbers()
        sleep_sooner()
    with command_ends_once(own) as request:
        try:
            code = _run(argv)
            request.settle()
        except KeyboardInterrupt:
            request.settle()
            say("interrupted; nothing was written")
            code = exit_code()
        if own:
            for stream in (STDOUT, STDERR):  # or Python would, and make an exit code of its own
                stream.flush()
            gc.freeze()  # or Python looks through all that torch has made, half a second long
    return code


def _run(argv: Sequence[str] | None) -> int:
    """The exit code of a command; bad input is a sentence, bugs of ours are raised."""
    before, loud = wording.set(str), silent.set(False)
    try:
        args = build_parser().parse_args(argv)
        wording.set(partial(in_options, known=vars(args)))
        silent.set(getattr(args, "quiet", False))
        return int(args.run(args))
    except Exception as error:
        sentence = checks.explain(error)
        if sentence is None:
            raise  # a bug of ours is not bad input
        return refuse(sentence)
    except SystemExit as stop:  # argparse: --help, --version or bad options
        return int(stop.code or 0)
    finally:
        wording.reset(before)
        silent.reset(loud)
