package policy

default allow := false

patterns := ["*.shop.example", "api.**.example", "{www,m}.shop.test", "db[0-9].internal", "?.short.test"]

allow if {
	some pattern in patterns
	glob.match(pattern, ["."], input.host)
}

allow if glob.match("/files/*/public/**", ["/"], input.path)

allow if glob.match("*-healthz", null, input.path)
