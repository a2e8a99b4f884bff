from __future__ import annotations

import logging
from collections.abc import Mapping

from lib.errors import DONE, INTERRUPTED
from lib.evaluation.measures import BY_KEY
from lib.evaluation.reports.html_page import number
from lib.jobs.train.estimates import Summary, find_rate, summarize
from lib.jobs.train.run import TrainResult, train
from lib.jobs.train.settings import TrainSettings
from lib.system.logs import counted
from lib.words import escaped

logger = logging.getLogger(__name__)


def run(settings: TrainSettings) -> int:
    if settings.summary:
        _print_summary(summarize(settings))
        return DONE
    if settings.find_rate:
        search = find_rate(settings)
        logger.info("Learning rates from %.0e to %.0e: %s. Nothing was saved.", search.lowest,
                    search.highest, search.plot)
        logger.info("Try --learning-rate %s.", search.rate)
        return DONE
    result = train(settings)
    _tell_result(result)
    return INTERRUPTED if result.interrupted else DONE


def _tell_result(result: TrainResult) -> None:
    logger.info("%s at iteration %d after %.1f minutes of training%s: %s. Look at %s.",
                "Stopped" if result.interrupted else "Done", result.iteration, result.seconds / 60,
                ", since it no longer gets better" if result.plateau else "", result.folder,
                result.folder / "preview.png")
    if not result.measures:
        return
    faces = f"Of {counted(result.held_out, 'face')} of A held out from training, swapped" \
        if result.held_out else "Of faces that it draws"
    when = "" if result.measured_at == result.iteration \
        else f" (at iteration {result.measured_at})"
    logger.info("%s%s: %s.", faces, when, _words(result.measures))
    if result.verdict:
        logger.info("%s", result.verdict)


def _words(measures: Mapping[str, float]) -> str:
    return "; ".join(f"{BY_KEY[key].title} {number(value)} {BY_KEY[key].unit}".rstrip()
                     for key, value in measures.items())


def _print_summary(summary: Summary) -> None:
    costs = summary.networks.values()
    rows = [("network", "parameters", "GFLOP a face, forwards")]
    rows += [(name, f"{cost.parameters:,}", f"{cost.operations / 1e9:.3f}")
             for name, cost in summary.networks.items()]
    rows.append(("all", f"{sum(cost.parameters for cost in costs):,}",
                 f"{sum(cost.operations for cost in costs) / 1e9:.3f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"{escaped(summary.model)}, {summary.size} pixels, coverage {summary.coverage}, "
          f"{summary.precision}")
    for first, *rest in rows:
        texts = [text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *texts]))
    batch = " + ".join([str(summary.batch)] * summary.identities)
    print(f"Memory for {batch} faces: about {summary.memory / 2**30:.2f} GiB")
    print(f"Speed here: about {summary.speed:.0f} images/s; a million faces take "
          f"{1e6 / summary.speed / 3600:.1f} hours")
