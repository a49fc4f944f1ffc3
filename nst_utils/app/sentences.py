"""What the studio says of a run."""

from __future__ import annotations

import html
import re
from decimal import Decimal

from torch import Tensor

from nst_utils.app.sessions import FAILED, FINISHED, PAUSED, RUNNING, Session
from nst_utils.support.messages import duration

ON_COLAB = (
    "<p>Here a run keeps the notebook busy until it ends: to stop it, interrupt the runtime "
    "(Ctrl-M I). Then move a slider, choose under <em>More settings</em> to start from the "
    "<em>picture so far</em>, and press Start.</p>"
)


def decimal(number: float) -> str:
    """With two digits that count, and without an exponent.

    >>> decimal(0.005), decimal(5e-5), decimal(1500)
    ('0.005', '0.00005', '1500')
    """
    return f"{Decimal(f'{number:.2g}'):f}"


def counted(number: int, what: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def in_words(number: int) -> str:
    """``nine``; from ten on as figures."""
    words = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return words[number] if number < len(words) else str(number)


def of_state(session: Session) -> str:
    """What it is doing, or how it ended."""
    number = session.step.number if session.step else 0
    if session.state == RUNNING:
        return f"Going on from step {number}." if number else "Preparing the network..."
    if session.state == PAUSED:
        return f"Paused at step {number}. The weights can be moved; Resume goes on."
    if session.state == FAILED:
        return f"This did not work: {session.message}."
    ending = "Finished" if session.state == FINISHED else "Stopped"
    why = f": {session.message}" if session.message else ""
    return f"{ending} after {counted(number, 'step')}, {duration(session.seconds)}{why}."


def of_progress(session: Session, steps: int, image: Tensor, side: int | None = None) -> str:
    """How far it is, in steps and, as the bar has it, in work: early steps are smaller.

    ``side`` is the longest one of the copy that is painted now, where that is known.
    """
    assert session.step is not None
    left = session.seconds_left
    until = f", {duration(left)} left" if left and session.is_live else ""
    copy = f", now at {side} px" if side and side < max(image.shape[2:]) else ""
    return (
        f"Step {session.step.number} of {steps}, {session.step.done:.0%} of the work, "
        f"{duration(session.seconds)}{until}; {image.shape[3]}x{image.shape[2]} px{copy}, "
        f"{session.step.images.device.type}"
    )


def paragraph(text: str) -> str:
    """As HTML, whatever is in it; nothing of nothing. No line ends between number and unit."""
    whole = re.sub(r"(\d) (px|s|min|h|MB|GB)\b", r"\1&nbsp;\2", html.escape(text))
    return f"<p>{whole}</p>" if text else ""
