# memcached, which is nobody special from the start: a USER other than root, and no capability to lose.
packages=memcached
config='{
	"User": "memcache",
	"ExposedPorts": {"11211/tcp": {}},
	"Cmd": ["memcached"]
}'
