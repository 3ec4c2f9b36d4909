package policy

# Folders give their rights to what lies in them.
default allow := false

ancestors := {folder | some path in graph.reachable_paths(data.parents, {input.document}); some folder in path}

allow if {
	some folder in ancestors
	input.user in data.viewers[folder]
}
