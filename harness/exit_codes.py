"""What a command's exit code says; scripts depend on these numbers."""

OK = 0
REFUTED = 1  # a claim refuted, a gate broken, a target missed, a fixture wrong
WRONG_INPUT = 2
INCONCLUSIVE = 3
INVALID = 4  # an invalid run, or a claim that cannot be tested
INTERRUPTED = 130  # by SIGINT or SIGTERM; records are kept
