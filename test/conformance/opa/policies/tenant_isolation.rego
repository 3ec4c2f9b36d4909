package policy

# A tenant sees its own things, and those that were shared with it until a day.
default allow := false

allow if input.user.tenant == input.resource.tenant

allow if {
	some share in input.resource.shares
	share.tenant == input.user.tenant
	not share.expired
	input.action in share.actions
}

allow if input.user.staff == true
