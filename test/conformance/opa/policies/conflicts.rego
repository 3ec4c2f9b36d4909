package policy

# Two rules with two results: an error for some inputs.
allow := "small" if input.n < 60

allow := "even" if input.n % 2 == 0
