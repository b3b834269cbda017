"""PainChain: the audit trail of your change timeline."""

__version__ = "1.0.0"
