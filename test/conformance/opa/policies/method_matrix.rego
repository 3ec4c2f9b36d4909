package policy

default allow := false

matrix := {
	"/orders": {"clerk": {"GET", "POST"}, "auditor": {"GET"}},
	"/refunds": {"manager": {"GET", "POST", "DELETE"}},
	"/health": {"*": {"GET", "HEAD"}},
}

allow if input.method in matrix[input.path][input.role]

allow if input.method in matrix[input.path]["*"]
