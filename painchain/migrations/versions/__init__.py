"""One module for each migration. A migration imports nothing of PainChain but its own frozen copies."""
