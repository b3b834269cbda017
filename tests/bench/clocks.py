"""Serve PainChain with the sample connector type "clock": `python -m tests.bench.clocks`."""

from painchain import connectors
from painchain.cli.main import main
from tests.support.sample_events import CLOCK

if __name__ == "__main__":
    connectors.TYPES[CLOCK.key] = CLOCK
    main(["serve"])
