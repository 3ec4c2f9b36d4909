package policy

# Patterns on both sides.
default allow := "no match"

allow := {"kind": "pair", "x": x, "y": y} if [x, y] = input.value

allow := {"kind": "tagged", "tag": tag, "rest": rest} if {
	{"tag": tag, "rest": rest} = input.value
}

allow := {"kind": "triple", "same": x} if [x, x, x] = input.value

allow := {"kind": "nested", "deep": d} if {"a": [_, {"b": d}]} = input.value
