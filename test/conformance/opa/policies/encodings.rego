package policy

allow := {
	"allowed": base64.is_valid(input.b64),
	"b64": base64.encode(input.text),
	"url": base64url.encode(input.text),
	"bare": base64url.encode_no_pad(input.text),
	"back": base64url.decode(base64url.encode_no_pad(input.text)),
	"decoded": decoded,
	"hex": hex.encode(input.text),
	"unhex": hex.decode(hex.encode(input.text)),
	"query": urlquery.encode(input.text),
	"unquery": urlquery.decode(urlquery.encode(input.text)),
	"object": urlquery.encode_object({"a": input.text, "b": ["1", input.text]}),
	"parsed": urlquery.decode_object("a=1&b=2&a=3&c"),
	"json": json.marshal({"t": input.text, "n": [1, 2.5, null]}),
	"unjson": json.unmarshal("{\"a\": [1, {\"b\": null}]}"),
	"valid": [json.is_valid(input.b64), yaml.is_valid("a: [1, 2]")],
	"yaml": yaml.unmarshal("a: 1\nb: [x, y]\n"),
}

default decoded := "none"

decoded := base64.decode(input.b64)
