"""The PainChain connector: every configuration change becomes an event."""
