package policy

import rego.v1

# As policies were written before Rego 1.0, brought forward.
default allow = false

allow if {
	input.attributes.request.http.method == "GET"
	glob.match("/people*", ["/"], input.attributes.request.http.path)
	roles_for_user[_] == "viewer"
}

allow if {
	input.attributes.request.http.method == "POST"
	roles_for_user[_] == "admin"
	body := input.parsed_body
	lower(body.firstname) != base64url.decode(user_name)
}

roles_for_user contains r if {
	r := data.user_roles[base64url.decode(user_name)][_]
}

user_name := encoded if {
	[_, encoded] := split(input.attributes.request.http.headers.authorization, " ")
}
