package policy

# Objects made of many rules.
allow := {"allowed": count(errors) == 0, "errors": errors, "limits": limits}

errors[field] := sprintf("%v: wanted %d to %d, found %v", [field, range.min, range.max, value]) if {
	some field, range in data.ranges
	value := input.values[field]
	not within(value, range)
}

within(value, range) if {
	is_number(value)
	value >= range.min
	value <= range.max
}

limits.low := min([r.min | some r in data.ranges])

limits.high := max([r.max | some r in data.ranges])
