package policy

merged := net.cidr_merge(input.nets)

allow := {
	"allowed": count(matches) > 0,
	"merged": merged,
	"matches": matches,
	"hosts": hosts,
}

matches := net.cidr_contains_matches(data.zones, input.ips)

hosts := count(net.cidr_expand(input.small))
