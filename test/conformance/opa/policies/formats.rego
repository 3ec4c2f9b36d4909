package policy

allow := {
	"allowed": input.n > 0,
	"text": sprintf("%d|%5d|%-5d|%05d|%x|%X|%o|%b|%+d", [input.n, input.n, input.n, input.n, input.n, input.n, input.n, input.n, input.n]),
	"fraction": sprintf("%f|%.2f|%8.3f|%e|%g|%v", [input.f, input.f, input.f, input.f, input.f, input.f]),
	"words": sprintf("%s|%q|%v|%10s|%-10s|%.2s|%x", [input.s, input.s, input.s, input.s, input.s, input.s, input.s]),
	"value": sprintf("%v %v %v", [input.list, {"b": 1, "a": [true, null]}, {"y", "x"}]),
	"wrong": sprintf("%d %s %v", [input.s, input.n]),
	"percent": sprintf("100%%", []),
}
