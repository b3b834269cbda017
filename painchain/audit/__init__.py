"""The PainChain connector: it records every configuration change as an event."""
