package policy

# Claims of a token that Envoy has verified.
default allow := {"allowed": false}

payload := p if {
	[_, p, _] := io.jwt.decode(trim_prefix(input.headers.authorization, "Bearer "))
}

allow := {"allowed": true, "headers": {"x-sub": payload.sub, "x-groups": concat(",", payload.groups)}} if {
	payload.exp > 1767225600
	"shop" in payload.groups
}
