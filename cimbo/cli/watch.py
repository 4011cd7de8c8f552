"""``cimbo status --watch``: a running study, looked at again and again from another terminal."""

from __future__ import annotations

import sys
import time

import click

from cimbo.cli.options import existing
from cimbo.cli.output import show
from cimbo.session.text import duration
from cimbo.session.watching import Snapshot, snapshot

CLEAR_LINES = "\x1b[{}F\x1b[J"  # to the beginning of so many lines above, and nothing below
MOST_WORKERS_SHOWN = 8


def watch(file: str, every_s: float) -> None:
    """Print what a study holds again and again, until its budget is reached or Ctrl-C.

    On a terminal the lines are written over; in a pipe they follow one another, and only when
    something is new.

    Args:
        file: The study's file.
        every_s: Seconds between two looks.

    Raises:
        BadInput: There is no such file, or it is no study.
    """
    with existing(file) as session:
        first = seen = snapshot(session)
        shown = _print(seen, first, above=0)
        while not _is_done(seen):
            time.sleep(every_s)
            now = snapshot(session)
            if sys.stdout.isatty() or now.evaluations != seen.evaluations:
                shown = _print(now, first, above=shown)
            seen = now


def _is_done(seen: Snapshot) -> bool:
    return seen.budget is not None and seen.evaluations >= seen.budget and not seen.at_work


def _print(seen: Snapshot, first: Snapshot, *, above: int) -> int:
    """Write the lines of a snapshot, over ``above`` lines on a terminal; returns how many they are."""
    if above and sys.stdout.isatty():
        click.echo(CLEAR_LINES.format(above), nl=False)
    lines = watched_lines(seen, first)
    show("\n".join(lines) + "\n")
    return len(lines)


def watched_lines(seen: Snapshot, first: Snapshot) -> list[str]:
    """Write a snapshot in lines.

    They say how far and how fast, the newest evaluation, failures by reason, and who is at work.

    Args:
        seen: What the study holds now.
        first: What it held when the watching began, from which rates are counted.

    Returns:
        The lines, from the top.
    """
    lines = [_progress_line(seen, first)]
    if seen.last is not None:
        told = " ".join(f"{name}={value:.4g}" for name, value in seen.last.metrics.items())
        lines.append(f"last: {seen.last.key} {seen.last.status} {told}".rstrip())
    for reason, count in sorted(seen.failures.items(), key=lambda found: -found[1]):
        lines.append(f"failed {count}: {reason}")
    for lease in seen.at_work[:MOST_WORKERS_SHOWN]:
        lines.append(f"at work: {lease.by} on {lease.key}")
    more = len(seen.at_work) - MOST_WORKERS_SHOWN
    if more > 0:
        lines.append(f"at work: {more} more")
    return lines


def _progress_line(seen: Snapshot, first: Snapshot) -> str:
    """How far the study is, how good, how fast, and when it will be done."""
    evaluations = f"{seen.evaluations} evaluations"
    if seen.budget is not None:
        evaluations = f"{seen.evaluations} of {seen.budget} evaluations"
    parts = [evaluations]
    if seen.hypervolume is not None:
        parts.append(f"hypervolume {seen.hypervolume:.6g}")
    each_s = seen.seconds_per_evaluation(first)
    if each_s is not None:
        parts.append(f"{60 / each_s:.3g} a minute")
    left_s = seen.seconds_left(first)
    if left_s:
        parts.append(f"about {duration(left_s)} left")
    return ", ".join(parts)
