package policy

default allow := false

allow if {
	io.jwt.verify_es256(input.token, data.jwks)
	[_, payload, _] := io.jwt.decode(input.token)
	payload.sub in data.subjects
}
