"""Serve PainChain with the made-up connector type: `python -m tests.bench.clocks`."""

from painchain import connectors
from painchain.cli import main
from tests.made_up import CLOCK

if __name__ == "__main__":
    connectors.TYPES[CLOCK.key] = CLOCK
    main(["serve"])
