package policy

by_team := {team: names |
	some person in input.people
	team := person.team
	names := [other.name | some other in input.people; other.team == team]
}

index := {name: i | some i, person in input.people; name := sprintf("%s#%d", [person.name, i])}

allow := {
	"allowed": count(by_team) > 1,
	"teams": by_team,
	"index": index,
	"sorted": sort([person.name | some person in input.people]),
	"sliced": array.slice(input.people, 1, 3),
	"reversed": array.reverse([p.name | some p in input.people]),
	"joined": array.concat([1], [p.age | some p in input.people; p.age > 30]),
	"types": {type_name(value) | some person in input.people; some value in person},
	"ages": {"sum": sum([p.age | some p in input.people]), "product": product([1, 2, 3]), "oldest": max([p.age | some p in input.people])},
}
