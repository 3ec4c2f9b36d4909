package lib

known(name) if name in {"skip", "none"}

checks.even if input.n % 2 == 0

checks.large if input.n > 50

checks.named if input.name != ""
