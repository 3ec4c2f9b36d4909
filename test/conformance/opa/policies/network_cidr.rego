package policy

# Callers by network, the narrowest entry first.
default allow := false

office := {"10.0.0.0/8", "192.168.4.0/22", "2001:db8:1::/48"}

blocked := ["10.66.0.0/16", "192.168.5.7/32"]

allow if {
	some range in office
	net.cidr_contains(range, input.source.ip)
	not is_blocked
}

is_blocked if {
	some block in blocked
	net.cidr_contains(block, input.source.ip)
}

allow if net.cidr_intersects(input.source.net, "203.0.113.0/24")
