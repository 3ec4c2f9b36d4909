package policy

# Office hours of the place in which the caller is.
default allow := false

zones := {"berlin": "Europe/Berlin", "tokyo": "Asia/Tokyo", "nyc": "America/New_York", "utc": "UTC"}

zone := zones[input.site]

weekday := time.weekday([input.now, zone])

clock := time.clock([input.now, zone])

allow if {
	not weekday in {"Saturday", "Sunday"}
	clock[0] >= 8
	clock[0] < 18
}

allow if input.emergency
