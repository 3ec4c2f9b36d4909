package policy

default allow := {"allowed": false}

allow := {"allowed": true, "id": id, "version": version} if {
	[_, version, id] := regex.find_all_string_submatch_n(`^/v([0-9]+)/users/([a-z0-9-]{3,12})$`, input.path, 1)[0]
	to_number(version) in {1, 2}
}

allow := {"allowed": true, "masked": regex.replace(input.path, `[0-9]{4,}`, "<n$0>")} if {
	startswith(input.path, "/cards/")
}

allow := {"allowed": true, "parts": regex.split(`[,;]\s*`, input.tags), "words": regex.find_n(`\w+`, input.tags, -1)} if {
	input.path == "/tags"
}
