"""Drives the simulated cloud with the vendor's own SDK: if the SDK understands it, it speaks the vendor's language.

Usage: sdk_check.py JSON with the keys iam, geminidb, taurusdb, dcs (URLs), project, region, domain_id, user, domain, password,
access_key, secret_key, geminidb_instance, taurusdb_instance, dcs_instance, dcs_single.
Instances must exist and be idle, and backups must take about a second.
"""

import json
import re
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkdcs.v2 import (
    BackupInstanceBody, CopyInstanceRequest, DcsClient, DeleteBackupFileRequest, ListBackupRecordsRequest,
)
from huaweicloudsdkgaussdb.v3 import (
    CreateGaussMySqlBackupRequest, DeleteGaussMySqlBackupRequest, GaussDBClient, MysqlCreateBackupRequest,
    ShowGaussMySqlBackupListRequest,
)
from huaweicloudsdkgaussdbfornosql.v3 import (
    CreateBackRequest, DeleteBackupRequest, GaussDBforNoSQLClient, ListBackupsRequest, NoSqlCreateBackupRequestBody,
)
from huaweicloudsdkiam.v3 import (
    AuthScope, AuthScopeProject, IamClient, KeystoneCreateUserTokenByPasswordRequest,
    KeystoneCreateUserTokenByPasswordRequestBody, KeystoneListProjectsRequest, PwdAuth, PwdIdentity, PwdPassword,
    PwdPasswordUser, PwdPasswordUserDomain,
)

OFFSET_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$"
GIVEN = json.loads(sys.argv[1])


def client(kind, service, secret=None, project=None):
    credentials = BasicCredentials(GIVEN["access_key"], secret or GIVEN["secret_key"], project or GIVEN["project"])
    return kind.new_builder().with_credentials(credentials).with_endpoint(GIVEN[service]).build()


def check(truth, what):
    if not truth:
        raise AssertionError(what)


def refused(call, status, code):
    try:
        answer = call()
    except ClientRequestException as refusal:
        check((refusal.status_code, refusal.error_code) == (status, code),
              f"expected {status} {code}, got {refusal.status_code} {refusal.error_code} {refusal.error_msg}")
        check(refusal.request_id, "a refusal must carry a request id")
        return
    raise AssertionError(f"expected {status} {code}, got {answer}")


def until(look, what):
    for _ in range(100):
        seen = look()
        if seen:
            return seen
        time.sleep(0.1)
    raise AssertionError(f"waited in vain: {what}")


def geminidb():
    cloud, instance = client(GaussDBforNoSQLClient, "geminidb"), GIVEN["geminidb_instance"]

    def create(name, description="made by the SDK", using=cloud):
        body = NoSqlCreateBackupRequestBody(name=name, description=description)
        return using.create_back(CreateBackRequest(instance_id=instance, body=body))

    def listed(**query):
        return cloud.list_backups(ListBackupsRequest(instance_id=instance, **query))

    first = create("sdk-gemini-1")
    check(first.status_code == 202 and first.job_id and first.backup_id, first)
    seen = listed().backups[0]
    check((seen.id, seen.name, seen.status, seen.type) == (first.backup_id, "sdk-gemini-1", "BUILDING", "Manual"), seen)
    refused(lambda: create("sdk-gemini-2"), 403, "DBS.200019")
    done = until(lambda: [b for b in listed(backup_id=first.backup_id).backups if b.status == "COMPLETED"], "GeminiDB backup")[0]
    check(isinstance(done.size, float) and done.size == 1536000.0, done)
    check(re.match(OFFSET_TIME, done.begin_time) and re.match(OFFSET_TIME, done.end_time), done)
    check((done.datastore.type, done.instance_id, done.description) == ("cassandra", instance, "made by the SDK"), done)

    second = create("sdk-gemini-2")
    until(lambda: listed(backup_id=second.backup_id).backups[0].status == "COMPLETED", "the second GeminiDB backup")
    pages = [listed(limit=1, offset=offset, backup_type="Manual") for offset in (0, 1, 2)]
    check([page.total_count for page in pages] == [2, 2, 2], pages)
    check([[b.name for b in page.backups] for page in pages] == [["sdk-gemini-2"], ["sdk-gemini-1"], []], pages)
    check(listed(begin_time=done.begin_time, end_time="2099-01-01T00:00:00+0800").total_count == 2, "a window of time")
    check(listed(begin_time="2001-01-01T00:00:00+0000", end_time="2001-01-02T00:00:00+0000").total_count == 0, "an early window")
    refused(lambda: listed(begin_time=done.begin_time), 400, "DBS.280001")
    refused(lambda: listed(backup_type="manual"), 400, "DBS.280001")
    refused(lambda: listed(limit=101), 400, "DBS.280439")
    refused(lambda: create("sdk-gemini-1"), 400, "DBS.201201")
    refused(lambda: create("1bad"), 400, "DBS.280277")
    refused(lambda: create("sdk-gemini-3", "a < b"), 400, "DBS.280127")
    refused(lambda: create("sdk-gemini-4", using=client(GaussDBforNoSQLClient, "geminidb", secret="wrong")), 401, "APIGW.0301")
    refused(lambda: create("sdk-gemini-4", using=client(GaussDBforNoSQLClient, "geminidb", project="0" * 32)), 400, "DBS.200010")

    gone = cloud.delete_backup(DeleteBackupRequest(backup_id=first.backup_id))
    check(gone.status_code == 202 and gone.job_id, gone)
    until(lambda: listed(backup_id=first.backup_id).total_count == 0, "the delete at GeminiDB")
    refused(lambda: cloud.delete_backup(DeleteBackupRequest(backup_id=first.backup_id)), 400, "DBS.201214")


def taurusdb():
    cloud, instance = client(GaussDBClient, "taurusdb"), GIVEN["taurusdb_instance"]

    def create(name, instance=instance, using=cloud, **more):
        body = MysqlCreateBackupRequest(instance_id=instance, name=name, **more)
        return using.create_gauss_my_sql_backup(CreateGaussMySqlBackupRequest(body=body))

    def listed(**query):
        return cloud.show_gauss_my_sql_backup_list(ShowGaussMySqlBackupListRequest(instance_id=instance, **query))

    first = create("sdk-taurus-1", description="made by the SDK")
    check(first.status_code == 201 and first.job_id, first)
    made = first.backup
    check((made.name, made.status, made.type, made.instance_id) == ("sdk-taurus-1", "BUILDING", "manual", instance), made)
    check(made.description == "made by the SDK" and re.match(OFFSET_TIME, made.begin_time), made)
    refused(lambda: create("sdk-taurus-2"), 409, "DBS.201205")
    refused(lambda: cloud.delete_gauss_my_sql_backup(DeleteGaussMySqlBackupRequest(backup_id=made.id)), 400, "DBS.201208")
    done = until(lambda: [b for b in listed(backup_id=made.id).backups if b.status == "COMPLETED"], "TaurusDB backup")[0]
    check((done.size, done.datastore.type) == (1500, "gaussdb-mysql") and re.match(OFFSET_TIME, done.end_time), done)

    second = create("sdk-taurus-2").backup
    until(lambda: listed(backup_id=second.id).backups[0].status == "COMPLETED", "the second TaurusDB backup")
    pages = [listed(limit=1, offset=offset, backup_type="manual") for offset in (0, 1)]
    check([[b.id for b in page.backups] for page in pages] == [[second.id], [made.id]], pages)
    check(all(page.total_count == 2 for page in pages), pages)
    check(listed(name="sdk-taurus-1").total_count == 1, "the filter by name")
    refused(lambda: listed(backup_type="Manual"), 400, "DBS.280001")
    refused(lambda: create("sdk-taurus-1"), 409, "DBS.201209")
    refused(lambda: create("sdk-taurus-3", instance="0" * 32 + "in07"), 404, "DBS.200002")
    refused(lambda: create("sdk-taurus-4", using=client(GaussDBClient, "taurusdb", secret="wrong")), 401, "APIGW.0301")

    gone = cloud.delete_gauss_my_sql_backup(DeleteGaussMySqlBackupRequest(backup_id=made.id))
    check((gone.status_code, gone.backup_id, gone.backup_name) == (200, made.id, "sdk-taurus-1"), gone)
    check(listed(backup_id=made.id).total_count == 0, "a deleted backup is listed")
    refused(lambda: cloud.delete_gauss_my_sql_backup(DeleteGaussMySqlBackupRequest(backup_id=made.id)), 400, "DBS.201203")


def dcs():
    cloud, instance = client(DcsClient, "dcs"), GIVEN["dcs_instance"]

    def create(instance=instance, using=cloud, **body):
        return using.copy_instance(CopyInstanceRequest(instance_id=instance, body=BackupInstanceBody(**body)))

    def listed(**query):
        return cloud.list_backup_records(ListBackupRecordsRequest(instance_id=instance, **query))

    def records(**query):
        return listed(**query).backup_record_response or []

    check(listed().status_code == 204, "an empty list has no body")
    first = create(remark="sdk-dcs-1", backup_format="aof")
    check(first.status_code == 200 and first.backup_id, first)
    refused(lambda: create(remark="sdk-dcs-2"), 400, "DCS.4096")
    done = until(lambda: [r for r in records() if r.status == "succeed"], "DCS backup")[0]
    check((done.backup_id, done.remark, done.backup_format) == (first.backup_id, "sdk-dcs-1", "aof"), done)
    check((done.size, done.backup_type, done.progress) == (1572864000, "manual", "100.00"), done)
    check(done.is_support_restore == "TRUE" and done.backup_name.startswith("backup_2"), done)
    check(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", done.created_at), done)

    second = create()
    until(lambda: all(r.status == "succeed" for r in records()), "the second DCS backup")
    pages = [listed(limit=1, offset=offset) for offset in (0, 1)]
    check([p.backup_record_response[0].backup_id for p in pages] == [second.backup_id, first.backup_id], pages)
    check(all(p.total_num == 2 for p in pages), pages)
    check(listed(begin_time="20200101000000", end_time="20200102000000").status_code == 204, "an early window")
    refused(lambda: listed(limit=1001), 400, "DCS.4062")
    refused(lambda: create(remark="x" * 129), 400, "DCS.4098")
    refused(lambda: create(GIVEN["dcs_single"]), 400, "DCS.4086")
    refused(lambda: create("no-such-instance"), 404, "DCS.3022")
    refused(lambda: create(using=client(DcsClient, "dcs", secret="wrong")), 401, "APIGW.0301")

    gone = cloud.delete_backup_file(DeleteBackupFileRequest(instance_id=instance, backup_id=first.backup_id))
    check(gone.status_code == 204, gone)
    until(lambda: [r.backup_id for r in records()] == [second.backup_id], "the delete at DCS")


def iam():
    credentials = GlobalCredentials(GIVEN["access_key"], GIVEN["secret_key"], GIVEN["domain_id"])
    cloud = IamClient.new_builder().with_credentials(credentials).with_endpoint(GIVEN["iam"]).build()
    found = cloud.keystone_list_projects(KeystoneListProjectsRequest(name=GIVEN["region"])).projects
    check([p.id for p in found] == [GIVEN["project"]], found)

    def token(password):
        user = PwdPasswordUser(name=GIVEN["user"], password=password, domain=PwdPasswordUserDomain(name=GIVEN["domain"]))
        scope = AuthScope(project=AuthScopeProject(name=GIVEN["region"]))
        identity = PwdIdentity(methods=["password"], password=PwdPassword(user=user))
        body = KeystoneCreateUserTokenByPasswordRequestBody(auth=PwdAuth(identity=identity, scope=scope))
        return cloud.keystone_create_user_token_by_password(KeystoneCreateUserTokenByPasswordRequest(body=body))

    made = token(GIVEN["password"])
    check(made.status_code == 201 and made.x_subject_token, made)
    check(made.token.project.id == GIVEN["project"], made)
    check(re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", made.token.expires_at), made)
    try:
        token("wrong")
    except ClientRequestException as refusal:
        check(refusal.status_code == 401, refusal)
    else:
        raise AssertionError("a wrong password was accepted")


def project_lookup():
    """Without a project id the SDK asks IAM for the region's project, signed, and then uses it."""
    credentials = BasicCredentials(GIVEN["access_key"], GIVEN["secret_key"]).with_iam_endpoint(GIVEN["iam"])
    builder = GaussDBClient.new_builder().with_credentials(credentials)
    cloud = builder.with_region(Region(GIVEN["region"], GIVEN["taurusdb"])).build()
    cloud.show_gauss_my_sql_backup_list(ShowGaussMySqlBackupListRequest(limit=1))
    check(credentials.project_id == GIVEN["project"], credentials.project_id)


for part in (iam, project_lookup, geminidb, taurusdb, dcs):
    part()
    print("ok", part.__name__)
