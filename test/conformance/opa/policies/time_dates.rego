package policy

# Contracts by their dates.
start := time.parse_rfc3339_ns(input.contract.start)

until := time.add_date(start, 0, input.contract.months, 0)

allow := {
	"allowed": input.now < until,
	"date": time.date(until),
	"text": time.format([until, "UTC", "RFC1123"]),
	"grace": input.now < until + time.parse_duration_ns("36h"),
	"age": time.diff(input.now, start),
}
