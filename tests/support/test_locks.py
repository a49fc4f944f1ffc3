"""A file that is held: by one at a time, whatever becomes of that one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from places import unprivileged

from nst_utils.support.locks import held

_HOLDER = """
import sys
from pathlib import Path
from nst_utils.support.locks import held
with held(Path(sys.argv[1])) as ours:
    print(ours, flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that holds it until its standard input ends."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _HOLDER, str(path)]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows kills in another way")
def test_a_process_holds_it_as_long_as_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with holder(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with held(path) as ours:
            assert not ours
        assert list(tmp_path.iterdir()), "whoever was refused has taken nothing away"
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()), "what a killed process leaves"
    with held(path) as ours:
        assert ours
    assert not list(tmp_path.iterdir())


def test_a_link_and_its_file_are_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("run")
    with held(tmp_path / "link"), held(tmp_path / "run") as ours:
        assert not ours


def test_of_many_one_at_a_time_gets_it(tmp_path: Path) -> None:
    """They take it and give it back as fast as they can: its file is made and deleted all the
    time. Each goes on until it had it so many times; how often it tries is the machine's."""
    inside, most, had = 0, 0, [0] * 4
    count = threading.Lock()

    def contend(who: int) -> None:
        nonlocal inside, most
        while had[who] < 75:
            with held(tmp_path / "run") as ours:
                if ours:
                    with count:
                        inside, had[who] = inside + 1, had[who] + 1
                        most = max(most, inside)
                    os.sched_yield()
                    with count:
                        inside -= 1

    threads = [threading.Thread(target=contend, args=(who,)) for who in range(len(had))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert had == [75] * 4
    assert not list(tmp_path.iterdir())


def test_where_it_cannot_be_made_is_a_sentence() -> None:
    with unprivileged() as folder:
        folder.chmod(0o500)
        says = r"lock cannot be opened \(Permission denied\); name another file than"
        with pytest.raises(ValueError, match=says), held(folder / "run"):
            pass
