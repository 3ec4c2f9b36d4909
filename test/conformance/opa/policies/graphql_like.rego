package policy

# Fields asked for, level by level.
default allow := false

allowed_fields := data.fields[input.role]

asked contains concat(".", path) if {
	[path, leaf] := walk(input.selection)
	leaf == true
}

allow if {
	count(asked) > 0
	every field in asked {
		field in allowed_fields
	}
}
