package policy

# Which headers may come in, and which go on.
kept := {name: value |
	some name, value in input.headers
	not startswith(name, "x-internal-")
	not name in {"cookie", "authorization"}
}

allow := {"allowed": no_duplicates, "headers": kept, "removed": removed, "count": count(kept)}

removed := object.keys(input.headers) - object.keys(kept)

no_duplicates if count({lower(name) | some name, _ in input.headers}) == count(input.headers)

default no_duplicates := false
