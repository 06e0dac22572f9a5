"""Events compared with their limits: sending, storing, and the time from one end to the other.

Run as ``python -m benchmarks.events``. The servers are the benchmark's own and are removed at its end.
"""

import sys

import click
from benchmarks.events.latency import measure_latency
from benchmarks.events.servers import servers
from benchmarks.events.storing import measure_rate, measure_throughput
from benchmarks.measure import publish


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="Number of events in the fast runs.")
@click.option("--repeat", default=5, show_default=True, help="Number of turns, of which the median one counts.")
@click.option("--discard", is_flag=True, help="Write no results file.")
def main(events: int, repeat: int, discard: bool) -> None:
    """Measure shop-produce and shop-consume."""
    measures = []
    with servers() as made:
        for part in (
            measure_throughput(made, events, repeat),
            measure_rate(made),
            measure_latency(made),
        ):
            for measure in part:
                ratio = "" if measure.ratio is None else f", {measure.ratio:.2f} of {measure.beside}"
                print(f"{measure.name}: {measure.value:,.6g} {measure.unit}{ratio}", file=sys.stderr, flush=True)
                measures.append(measure)
        details = {"servers": made.described(), "events": events}
    publish("events", measures, details, keep=not discard)


if __name__ == "__main__":
    main()
