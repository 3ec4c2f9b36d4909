package policy

have := {scope | some scope in input.scopes}

need := data.needs[input.action]

wanted := {scope | some scope in need}

allow := {
	"allowed": count(wanted - have) == 0,
	"missing": wanted - have,
	"extra": have - wanted,
	"both": have & wanted,
	"either": have | wanted,
	"all": union({have, wanted, {"x"}}),
	"common": intersection({have, wanted}),
	"pairs": {[a, b] | some a in have; some b in wanted; a != b},
}
