package policy

# A token that our own issuer signed with a secret.
default allow := false

token := t if [_, t] := split(input.headers.authorization, " ")

claims := payload if {
	[true, _, payload] = io.jwt.decode_verify(token, {"secret": "a-secret-of-thirty-two-characters", "iss": "https://idp.test", "aud": "orders", "time": 1767225600000000000})
}

allow if {
	"orders:read" in split(claims.scope, " ")
	input.method == "GET"
}

allow if claims.admin == true
