package policy

# Roles inherit; what a caller has is everything that is reachable.
default allow := false

granted := graph.reachable(data.inherits, {role | some role in data.users[input.user]})

allow if {
	some role in granted
	some permission in data.permissions[role]
	permission == {"action": input.action, "resource": input.resource}
}
