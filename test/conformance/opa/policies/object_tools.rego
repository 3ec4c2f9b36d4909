package policy

merged := object.union(data.defaults, input.settings)

allow := {
	"allowed": merged.enabled,
	"merged": merged,
	"names": object.keys(merged),
	"without": object.remove(merged, ["enabled"]),
	"only": object.filter(merged, {"enabled", "level"}),
	"all": object.union_n([data.defaults, input.settings, {"z": 1}]),
	"subset": object.subset(merged, data.defaults),
}
