package policy

# No secret anywhere in the body.
found contains concat("/", [sprintf("%v", [step]) | some step in path]) if {
	[path, value] := walk(input.body)
	is_string(value)
	regex.match(`(?i)(password|secret|token)`, path[count(path) - 1])
}

allow := {"allowed": count(found) == 0, "found": found}
