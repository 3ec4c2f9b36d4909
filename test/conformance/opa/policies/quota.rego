package policy

# Numbers: what is left of a plan.
limits := {"free": 10, "pro": 1000, "max": 1000000}

used := sum([call.cost | some call in input.calls; call.day == input.day])

left := limits[input.plan] - used

allow := {"allowed": left > 0, "left": left, "percent": round((used * 100) / limits[input.plan]), "average": average, "largest": max([c.cost | some c in input.calls])}

default average := 0

average := used / count(input.calls)
