"""The side that runs these scripts: it says where the server is, cuts connections and kills the server on request."""

import json
import sys
import time
import traceback
from collections import Counter

WORLD = json.loads(sys.argv[1])
VERSION = WORLD["version"]
IS_5 = VERSION == 5

# How long anything may take.
PATIENCE_SECONDS = 10
# How long a session waits for its client.
SESSION_SECONDS = 60
# The ways to the server that are not the proxy's.
WAYS = ("tcp", "tls", "ws", "wss")
# Messages of each publisher in the cases that lose connections.
FLOOD = 300


def say(**line):
    print(json.dumps(line), flush=True)


def ask(what):
    """Asks for something that only the other side can do ("cut", "restart"), and waits until it is done."""
    say(ask=what)
    answer = sys.stdin.readline().strip()
    assert answer == "done", f"asked for {what}, was told {answer!r}"


def run(cases, call):
    """Runs cases one after another with `call`, and says how each went."""
    failed = False
    for case in cases:
        start = time.monotonic()
        try:
            call(case)
            say(case=case.__name__, ok=True, ms=round((time.monotonic() - start) * 1000))
        except Exception:
            failed = True
            say(case=case.__name__, ok=False, why=traceback.format_exc())
    sys.exit(1 if failed else 0)


def numbers(count):
    return [str(number) for number in range(count)]


def differences(seen, wanted):
    """What two lists of texts have more or less often than each other, in words."""
    seen, wanted = Counter(seen), Counter(wanted)
    return f"too few of {sorted((wanted - seen).elements())}, too many of {sorted((seen - wanted).elements())}"


def equal(seen, wanted, what=""):
    assert seen == wanted, f"{what}: {seen!r}, not {wanted!r}"
