package policy

# Routes by the path that opa-envoy-plugin has split.
default allow := {"allowed": false, "http_status": 404, "body": "no such route"}

allow := {"allowed": true, "headers": {"x-route": "items"}} if {
	input.parsed_path = ["api", "v1", "items", id]
	regex.match(`^[0-9]{1,6}$`, id)
	input.attributes.request.http.method in {"GET", "DELETE"}
}

allow := {"allowed": true, "headers": {"x-route": "search", "x-term": term}} if {
	input.parsed_path = ["api", "v1", "search"]
	term := input.parsed_query.q[0]
	count(term) > 2
}

allow := {"allowed": false, "http_status": 403, "body": "admins only"} if {
	input.parsed_path[0] == "admin"
	not is_admin
}

allow := {"allowed": true, "headers": {"x-route": "admin"}} if {
	input.parsed_path[0] == "admin"
	is_admin
}

is_admin if input.attributes.request.http.headers["x-role"] == "admin"
