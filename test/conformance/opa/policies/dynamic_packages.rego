package policy

import data.lib

# The rule is chosen by the input.
default allow := false

allow if data.lib.checks[input.check]

allow if lib.known(input.check)
