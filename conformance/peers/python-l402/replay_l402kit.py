"""The PyPI package `l402kit`'s store of used tokens in Redis: marks PREIMAGE as used, as its server does, in REDIS_URL.

Prints whether it was new, under which keys the database holds it, and for how many seconds.
"""

import hashlib
import json
import os

import redis
from l402kit.replay import RedisReplayAdapter

database = redis.Redis.from_url(os.environ["REDIS_URL"])
preimage = os.environ["PREIMAGE"]
digest = hashlib.sha256(preimage.encode()).hexdigest()
new = RedisReplayAdapter(database).check_and_mark(preimage)
keys = {key.decode(): database.ttl(key) for key in database.scan_iter(f"*{digest}*")}
print(json.dumps({"new": new, "keys": keys}))
