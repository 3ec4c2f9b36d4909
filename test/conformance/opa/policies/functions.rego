package policy

# Functions with several bodies and patterns for arguments.
default allow := false

allow if score(input.kind, input.amount) < limit(input.tier)

score("payment", amount) := amount * 2

score("refund", amount) := amount * 3 if amount > 10

score("refund", amount) := amount if amount <= 10

limit("gold") := 1000

limit("silver") := 100

limit(tier) := 10 if not tier in {"gold", "silver"}
