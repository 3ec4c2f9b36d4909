package policy

# A webhook's signature.
default allow := false

expected := crypto.hmac.sha256(input.body, "webhook-secret")

allow if crypto.hmac.equal(expected, trim_prefix(input.signature, "sha256="))

allow if crypto.md5(input.body) == input.signature

allow if crypto.sha1(input.body) == input.signature
