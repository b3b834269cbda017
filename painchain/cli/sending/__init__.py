"""Send change events to a PainChain server from another machine, and keep those that cannot be sent.

The commands of this package need neither the database nor the packages of the server, so that they start quickly.
"""
