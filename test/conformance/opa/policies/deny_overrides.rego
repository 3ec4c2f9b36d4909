package policy

# A partial set of reasons; anything in it denies.
allow := {"allowed": count(deny) == 0, "headers": {"x-denied-by": concat(",", sort(deny))}}

deny contains "method" if not input.method in {"GET", "POST"}

deny contains "size" if to_number(object.get(input.headers, "content-length", "0")) > 1000

deny contains "agent" if {
	some bad in ["curl", "wget", "nmap"]
	contains(lower(input.headers["user-agent"]), bad)
}

deny contains sprintf("path:%s", [segment]) if {
	some segment in split(input.path, "/")
	startswith(segment, ".")
}
