package policy

# Roles of the caller, each with the methods and paths it may use.
default allow := false

allow if {
	some role in data.users[input.user]
	some grant in data.roles[role]
	input.method in grant.methods
	startswith(input.path, grant.prefix)
}
