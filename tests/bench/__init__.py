"""`make bench` compares the speed of PainChain with bare Flask on the same machine."""
