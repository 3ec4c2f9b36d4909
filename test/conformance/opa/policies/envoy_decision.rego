package policy

# A decision document with all of its members.
default allow := {"allowed": false, "headers": {"www-authenticate": "Bearer"}, "http_status": 401}

http := input.attributes.request.http

allow := decision if {
	http.headers.authorization
	decision := {
		"allowed": http.method != "TRACE",
		"headers": {"x-user": user, "x-scopes": scopes},
		"response_headers_to_add": [{"x-policy": "v1"}],
		"request_headers_to_remove": ["authorization"],
		"dynamic_metadata": {"user": user},
	}
}

user := lower(trim_space(substring(http.headers.authorization, 7, -1)))

scopes := sort([scope | some scope in split(http.headers["x-scopes"], " "); scope != ""])
