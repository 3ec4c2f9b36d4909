package policy

# All, none, one, and nested quantifiers.
default allow := false

allow if {
	count(input.orders) > 0
	every order in input.orders {
		order.total < 1000
		every line in order.lines {
			line.quantity > 0
			some product in data.products
			product.id == line.product
		}
	}
}

allow if {
	some i, order in input.orders
	i == 0
	order.approved
	not any_fraud
}

any_fraud if input.orders[_].fraud
