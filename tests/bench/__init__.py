"""`make bench`: how fast PainChain is beside bare Flask on the same machine, in ratios of one run."""
