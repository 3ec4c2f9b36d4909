package policy

allow := {
	"allowed": input.a > input.b,
	"sum": input.a + input.b,
	"product": input.a * input.b,
	"difference": abs(input.a - input.b),
	"ceil": ceil(abs(input.a) / 7),
	"floor": floor(abs(input.a) / 7),
	"odd": input.n % 2 == 1,
	"range": numbers.range(input.n, 3),
	"step": numbers.range_step(0, input.n, 2),
	"bits": [bits.and(input.n, 6), bits.or(input.n, 9), bits.xor(input.n, 5), bits.lsh(1, input.n), bits.rsh(1024, input.n), bits.negate(input.n)],
	"hex": format_int(input.n, 16),
	"binary": format_int(input.n, 2),
}
