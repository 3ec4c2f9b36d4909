package policy

# Clearance against classification, with a need to know.
default allow := false

levels := {"public": 0, "internal": 1, "secret": 2, "top": 3}

allow if {
	levels[input.subject.clearance] >= levels[input.object.classification]
	every topic in input.object.topics {
		topic in input.subject.topics
	}
	not embargoed
}

embargoed if {
	input.object.country in data.embargo
	input.subject.country != input.object.country
}
