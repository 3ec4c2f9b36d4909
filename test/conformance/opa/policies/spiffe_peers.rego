package policy

# Who may call, by the SPIFFE identity that Envoy hands over.
default allow := false

peer := split(trim_prefix(input.attributes.source.principal, "spiffe://"), "/")

namespace := peer[2] if peer[1] == "ns"

account := peer[4] if peer[3] == "sa"

allow if {
	peer[0] == "cluster.local"
	namespace in {"shop", "web"}
	account != "default"
	input.attributes.request.http.method == "GET"
}

allow if {
	namespace == "ops"
	account == "deployer"
}
