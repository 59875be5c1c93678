"""Signs requests with the vendor's own SDK.

Reads requests from standard input, one JSON object a line (access_key, secret_key, security_token, project, date, method, host, path, query,
headers, body), and writes for each a line with the Authorization header and the query that goes on the wire.
"""

import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest


def sign(given):
    credentials = BasicCredentials(given["access_key"], given["secret_key"], given["project"])
    if given["security_token"] is not None:
        credentials = credentials.with_security_token(given["security_token"])
    request = SdkRequest(
        method=given["method"],
        schema="https",
        host=given["host"],
        resource_path=given["path"],
        query_params=[(name, value) for name, value in given["query"]],
        header_params={"X-Sdk-Date": given["date"], **given["headers"]},
        body=given["body"],
    )
    signed = credentials.sign_request(request)
    query = signed.uri[len(given["path"]):].removeprefix("?")
    return {"authorization": signed.header_params["Authorization"], "query": query}


# Not by `splitlines`, which takes more characters than the end of a line for one.
for line in sys.stdin.buffer.read().decode().split("\n"):
    if line:
        print(json.dumps(sign(json.loads(line))))
