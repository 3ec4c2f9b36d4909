package policy

# Documents cut and changed.
public := json.filter(input.document, ["name", "address/city", "tags/0"])

private := json.remove(input.document, ["secret", "address/street"])

patched := json.patch(input.document, [{"op": "add", "path": "/seen", "value": true}, {"op": "remove", "path": "secret"}])

default same := false

same if object.subset(input.document, {"address": {"city": "Ulm"}})

allow := {"allowed": same, "public": public, "private": private, "patched": object.get(patched, "seen", false), "city": object.get(input.document, ["address", "city"], "none")}
