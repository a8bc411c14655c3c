"""Judges that ask what a published judge asks, to the byte, so that its numbers can be reproduced."""
