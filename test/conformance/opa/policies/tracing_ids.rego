package policy

# Identifiers by their form.
default allow := false

allow if uuid.parse(input.id).version == 4

allow if regex.template_match("urn:order:{[0-9]+}:{[a-z]{2}}", input.id, "{", "}")

allow if {
	count(input.id) == 32
	_ := hex.decode(input.id)
}
