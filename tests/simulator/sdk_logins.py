"""Logs in at the simulated cloud in every way that the vendor's own SDK knows and the operator has too.

Usage: sdk_logins.py JSON with the keys iam, taurusdb, admin, metadata, pod_identity (URLs), project, domain_id, pod_token_file, idp, id_token_file.
"""

import json
import sys
import time

import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.auth.internal import FederalAccessor, IamHelper, MetadataAccessor, PodIdentityAccessor
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException, SdkException
from huaweicloudsdkgaussdb.v3 import GaussDBClient, ShowGaussMySqlBackupListRequest

GIVEN = json.loads(sys.argv[1])


class Metadata(MetadataAccessor):
    _METADATA_ENDPOINT = GIVEN["metadata"]


def check(truth, what):
    if not truth:
        raise AssertionError(what)


def fails(call, kind, words):
    try:
        answer = call()
    except kind as refusal:
        check(words in str(refusal), f"expected {words}, got {refusal}")
        return
    raise AssertionError(f"expected {kind.__name__} {words}, got {answer}")


def dial(**settings):
    requests.post(GIVEN["admin"] + "/settings", json=settings).raise_for_status()


def metadata_calls():
    calls = requests.get(GIVEN["admin"] + "/agents").json()["metadata_calls"]
    return [(call["method"], call["status"]) for call in calls]


def cloud(credentials):
    return GaussDBClient.new_builder().with_credentials(credentials).with_endpoint(GIVEN["taurusdb"]).build()


def works(credential):
    check(credential.access and credential.secret and credential.security_token, "a credential has a field too few")
    # The SDK takes the time for a local one, so it may be off by a time zone.
    check(abs(credential.expire_at - time.time()) < 3 * 86_400, credential.expire_at)
    credentials = BasicCredentials(credential.access, credential.secret, GIVEN["project"])
    credentials = credentials.with_security_token(credential.security_token)
    check(cloud(credentials).show_gauss_my_sql_backup_list(ShowGaussMySqlBackupListRequest(limit=1)).status_code == 200, "the key does not work")


def metadata():
    for tokens in ("required", "optional"):
        dial(metadata={"tokens": tokens})
        accessor, before = Metadata(), len(metadata_calls())
        works(accessor.get_credential())
        check(metadata_calls()[before:] == [("PUT", 200), ("GET", 200)], metadata_calls()[before:])
        requests.delete(GIVEN["admin"] + "/agents/metadata-tokens").raise_for_status()
        works(accessor.get_credential())
        check(metadata_calls()[before + 2:] == [("GET", 401), ("PUT", 200), ("GET", 200)], metadata_calls()[before + 2:])
    for status in (404, 405, 503):
        dial(metadata={"tokens": "none", "no_tokens_status": status})
        works(Metadata().get_credential())
    for tokens in ("required", "none"):
        dial(metadata={"tokens": tokens, "agency": None})
        before = len(metadata_calls())
        fails(Metadata().get_credential, ClientRequestException, "Please configure Cloud Service Agency first")
        check(len(metadata_calls()) == before + 2, "the SDK knows the words, and does not try again")
    dial(metadata={"agency": GIVEN["domain_id"]})


def pod_identity():
    accessor = PodIdentityAccessor(GIVEN["pod_identity"], GIVEN["pod_token_file"])
    for spelling in ("snake", "camel", "short"):
        for wrapping in ("credential", "credentials", "bare"):
            dial(pod_identity={"spelling": spelling, "wrapping": wrapping})
            works(accessor.get_credential())
    wrong = PodIdentityAccessor(GIVEN["pod_identity"], GIVEN["id_token_file"])
    fails(wrong.get_credential, SdkException, "401")
    dial(pod_identity={"agency": None})
    fails(accessor.get_credential, SdkException, "401")


def federation():
    """The first half of what the SDK's FederalAccessor does; the second trades the token for an access key, which the operator does not."""
    http = cloud(BasicCredentials("no key", "no secret", GIVEN["project"]))._http_client
    token = FederalAccessor._get_content(GIVEN["id_token_file"])

    def trade(idp, token):
        request = IamHelper.get_create_unscoped_token_by_id_token_request(http.config, GIVEN["iam"], idp, token)
        return IamHelper.create_unscoped_token_by_id_token(http, request)

    bought = trade(GIVEN["idp"], token)
    answer = requests.get(GIVEN["iam"] + "/v3/projects", headers={"X-Auth-Token": bought})
    check(answer.status_code == 200 and answer.json()["projects"], answer.text)
    for idp, given, code in (("stranger", token, "IAM.0004"), (GIVEN["idp"], token[:-8] + "A" * 8, "IAM.0001"), (GIVEN["idp"], "nonsense", "IAM.0011")):
        fails(lambda: trade(idp, given), ClientRequestException, code)


for part in (metadata, pod_identity, federation):
    part()
    print("ok", part.__name__)
