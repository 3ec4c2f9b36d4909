package policy

# Percentages by a digest, so that a caller always gets the same.
bucket := bits.and(hexdigit, 15) if {
	digest := crypto.sha256(concat(":", [input.user, input.flag]))
	hexdigit := indexof("0123456789abcdef", substring(digest, 0, 1))
}

allow := {"allowed": bucket < data.flags[input.flag], "bucket": bucket}
