package policy

# The same question for somebody else, and with other data.
default may := false

may if input.role in data.allowed[input.action]

allow := {
	"allowed": may,
	"as_admin": admin,
	"relaxed": relaxed,
	"nested": nested,
}

default admin := false

admin if may with input.role as "admin"

default relaxed := false

relaxed if may with data.allowed as {"read": {"guest"}, "write": ["guest"]}

default nested := false

nested if data.policy.admin with input.action as "write"
