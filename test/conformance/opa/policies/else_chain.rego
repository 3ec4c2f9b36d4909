package policy

# The first that holds.
allow := {"allowed": true, "why": "owner"} if {
	input.user == input.owner
} else := {"allowed": true, "why": "shared"} if {
	input.user in input.shared
	input.action == "read"
} else := {"allowed": true, "why": "public"} if {
	input.public
	input.action == "read"
} else := {"allowed": false, "why": "nobody"} if {
	not input.user
} else := {"allowed": false, "why": "stranger"}
