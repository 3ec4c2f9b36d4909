package policy

# Clients that are too old are turned away.
default allow := {"allowed": false}

allow := {"allowed": semver.compare(input.version, "1.4.0") >= 0, "next": semver.compare(input.version, "2.0.0-rc.1")} if {
	semver.is_valid(input.version)
}

allow := {"allowed": false, "size": units.parse_bytes(input.size), "cores": units.parse(input.cores)} if {
	not semver.is_valid(input.version)
}
