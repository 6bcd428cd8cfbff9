"""The options of curl that the tutorial uses, for machines without curl."""

import argparse
import sys
import urllib.error
import urllib.request

options = argparse.ArgumentParser()
options.add_argument("url")
options.add_argument("-s", action="store_true")
options.add_argument("-X", dest="method")
options.add_argument("-H", dest="headers", action="append", default=[])
options.add_argument("-d", dest="data")
options.add_argument("-D", dest="dump")
given = options.parse_args()

body = given.data.encode() if given.data else None
request = urllib.request.Request(given.url, body, method=given.method)  # noqa: S310 - the test's own service
for header in given.headers:
    request.add_header(*header.split(": ", 1))
try:
    response = urllib.request.urlopen(request)  # noqa: S310
except urllib.error.HTTPError as error:
    response = error
if given.dump:
    with open("/dev/stdout" if given.dump == "-" else given.dump, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(str(response.headers))
sys.stdout.buffer.write(response.read())
