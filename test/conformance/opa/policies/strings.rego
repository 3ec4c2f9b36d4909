package policy

allow := {
	"allowed": startswith(input.text, "a"),
	"upper": upper(input.text),
	"lower": lower(input.text),
	"reversed": strings.reverse(input.text),
	"at": indexof(input.text, "b"),
	"all": indexof_n(input.text, "a"),
	"part": substring(input.text, 1, 3),
	"tail": substring(input.text, 2, -1),
	"trimmed": [trim(input.text, "ab "), trim_left(input.text, "a "), trim_right(input.text, "z "), trim_space(input.text), trim_prefix(input.text, "ab"), trim_suffix(input.text, "yz")],
	"split": split(input.text, " "),
	"replaced": replace(input.text, "a", "<A>"),
	"many": strings.replace_n({"a": "1", "b": "22", " ": "_"}, input.text),
	"count": [count(input.text), strings.count(input.text, "a")],
	"any": [strings.any_prefix_match(input.text, ["ab", "x"]), strings.any_suffix_match([input.text, "q"], {"z", "yz"})],
	"joined": concat("-", split(input.text, "")),
}
