package policy

# A pod as an admission controller sees it.
violations contains msg if {
	some container in input.request.object.spec.containers
	not startswith(container.image, "registry.example/")
	msg := sprintf("container %q has image %q", [container.name, container.image])
}

violations contains "privileged" if input.request.object.spec.containers[_].securityContext.privileged

violations contains msg if {
	some container in input.request.object.spec.containers
	units.parse_bytes(container.resources.limits.memory) > units.parse_bytes("1Gi")
	msg := sprintf("%s wants too much", [container.name])
}

violations contains "no team" if not input.request.object.metadata.labels.team

allow := {"allowed": count(violations) == 0, "violations": violations}
