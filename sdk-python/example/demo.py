"""Greets, and reads what programs in other languages left.

    python demo.py embedded
    python demo.py http://127.0.0.1:34904
"""

import json
import sys

import pillion


def main(where: str) -> None:
    embedded = where == "embedded"
    with pillion.embedded() if embedded else pillion.connect(where) as p:
        p.state.set("greeting:python", {"from": "python", "mode": "embedded" if embedded else "sidecar"})
        assert p.state.get("greeting:python")["from"] == "python"

        for entry in p.state.list("greeting:"):
            print(f"python: {entry.key} = {json.dumps(entry.value)} (etag {entry.etag})")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: demo.py embedded | ENDPOINT")
    main(sys.argv[1])
