"""Drives the simulated cloud with the vendor's own SDK: if the SDK understands it, it speaks the vendor's language.

Usage: sdk_check.py JSON with the keys iam, geminidb, taurusdb, dcs, rds, dds, gaussdb (URLs), project, region, huawei_project, domain_id, user,
domain, password, access_key, secret_key, geminidb_instance, taurusdb_instance, dcs_instance, dcs_single, rds_instance, rds_replica,
dds_instance, dds_huawei, gaussdb_instance, gaussdb_huawei.
Instances must exist and be idle, those of Huawei Cloud in the project that is so called, and backups must take about a second.
"""

import json
import re
import sys
import time

import huaweicloudsdkdds.v3 as dds_sdk
import huaweicloudsdkgaussdbforopengauss.v3 as gaussdb_sdk
import huaweicloudsdkrds.v3 as rds_sdk
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkcore.signer.signer import Signer
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
BLANK_TIME = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"
BARE_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"
TYPES = {"str": str, "int": int, "float": float, "bool": bool}
GIVEN = json.loads(sys.argv[1])


def client(kind, service, secret=None, project=None):
    credentials = BasicCredentials(GIVEN["access_key"], secret or GIVEN["secret_key"], project or GIVEN["project"])
    return kind.new_builder().with_credentials(credentials).with_endpoint(GIVEN[service]).build()


def with_token(kind, service):
    """The SDK has no way of its own to show a token, but it lets another one sign."""
    value = token(GIVEN["password"]).x_subject_token
    credentials = BasicCredentials("no key", "no secret", GIVEN["project"])

    def show(request):
        request.header_params["X-Auth-Token"] = value
        Signer.process_request_uri(request)
        return request

    credentials.sign_request = show
    return kind.new_builder().with_credentials(credentials).with_endpoint(GIVEN[service]).build()


def whole(raw, model, absent=()):
    """Every field that the SDK reads is in the JSON, in the type that it declares, but for those that the service leaves out."""
    for name, kind in model.openapi_types.items():
        key = model.attribute_map[name]
        check((key in raw) != (key in absent), f"{key} in {raw}")
        if key in absent:
            continue
        if kind.startswith("list["):
            check(type(raw[key]) is list, f"{key} in {raw}")
        elif kind in TYPES:
            check(type(raw[key]) is TYPES[kind], f"{key} in {raw}")
        else:
            whole(raw[key], getattr(model, name))


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


def until(look, what, pause=0.1):
    for _ in range(100):
        seen = look()
        if seen:
            return seen
        time.sleep(pause)
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


def rds():
    cloud, instance, kind = client(rds_sdk.RdsClient, "rds"), GIVEN["rds_instance"], rds_sdk.RdsClient

    def create(name, instance=instance, using=cloud, **more):
        body = rds_sdk.CreateManualBackupRequestBody(instance_id=instance, name=name, **more)
        return using.create_manual_backup(rds_sdk.CreateManualBackupRequest(body=body))

    def listed(instance=instance, using=cloud, **query):
        return using.list_backups(rds_sdk.ListBackupsRequest(instance_id=instance, **query))

    def delete(id, using=cloud):
        return using.delete_manual_backup(rds_sdk.DeleteManualBackupRequest(backup_id=id))

    def wait(look, what):
        return until(look, what, pause=0.5)

    first = create("sdk-rds-1", description="made by the SDK")
    check(first.status_code == 200 and "job_id" not in json.loads(first.raw_content), first)
    made = first.backup
    whole(json.loads(first.raw_content)["backup"], made, absent=["databases"])
    check((made.name, made.status, made.type, made.instance_id) == ("sdk-rds-1", "BUILDING", "manual", instance), made)
    check(made.description == "made by the SDK" and re.match(BARE_TIME, made.begin_time), made)
    refused(lambda: create("sdk-rds-2"), 409, "DBS.201205")
    refused(lambda: delete(made.id), 409, "RDS.3004")
    done = wait(lambda: [b for b in listed(backup_id=made.id).backups if b.status == "COMPLETED"], "RDS backup")[0]
    check((done.size, done.datastore.type) == (1536000, "MySQL"), done)
    check(re.match(OFFSET_TIME, done.begin_time) and re.match(OFFSET_TIME, done.end_time), done)
    page = listed(backup_type="manual")
    whole(json.loads(page.raw_content)["backups"][0], page.backups[0])
    check("description" not in json.loads(page.raw_content)["backups"][0] and page.total_count == 1, page)
    refused(lambda: listed(instance=None, backup_id=made.id), 400, "DBS.280001")
    refused(lambda: create("sdk-rds-1"), 409, "DBS.201201")
    refused(lambda: create("sdk-rds-3", instance="0" * 32 + "in01"), 404, "DBS.200002")
    refused(lambda: create("sdk-rds-3", instance=GIVEN["rds_replica"]), 400, "RDS.3999")
    refused(lambda: create("sdk-rds-3", using=client(kind, "rds", secret="wrong")), 401, "APIGW.0301")
    refused(lambda: create("sdk-rds-3", using=client(kind, "rds", project="0" * 32)), 403, "DBS.200010")
    instances = cloud.list_instances(rds_sdk.ListInstancesRequest(id=instance)).instances
    check([(i.id, i.type, i.status) for i in instances] == [(instance, "Single", "ACTIVE")], instances)

    gone = delete(made.id)
    check(gone.status_code == 200 and not gone.raw_content, gone)
    wait(lambda: listed(backup_id=made.id).total_count == 0, "the delete at RDS")
    refused(lambda: delete(made.id), 400, "DBS.201203")

    token_bearer = with_token(kind, "rds")
    second = create("sdk-rds-token", using=token_bearer).backup
    wait(lambda: listed(using=token_bearer).backups[0].status == "COMPLETED", "the RDS backup by token")
    check(delete(second.id, using=token_bearer).status_code == 200, "the delete by token")
    # The SDK keeps the gateway's code to itself when it is throttled.
    try:
        for _ in range(61):
            listed()
    except ClientRequestException as refusal:
        check(refusal.status_code == 429, refusal)
    else:
        raise AssertionError("more than 60 calls in a minute were let in")


def dds():
    cloud, instance, kind = client(dds_sdk.DdsClient, "dds"), GIVEN["dds_instance"], dds_sdk.DdsClient

    def create(name, instance=instance, using=cloud, **more):
        option = dds_sdk.CreateManualBackupOption(instance_id=instance, name=name, **more)
        body = dds_sdk.CreateManualBackupRequestBody(backup=option)
        return using.create_manual_backup(dds_sdk.CreateManualBackupRequest(body=body))

    def listed(using=cloud, **query):
        return using.list_backups(dds_sdk.ListBackupsRequest(**query))

    def delete(id, using=cloud):
        return using.delete_manual_backup(dds_sdk.DeleteManualBackupRequest(backup_id=id))

    first = create("sdk-dds-1", description="made by the SDK")
    check(first.status_code == 200, first)
    whole(json.loads(first.raw_content), first)
    refused(lambda: create("sdk-dds-2"), 403, "DBS.200019")
    refused(lambda: delete(first.backup_id), 403, "DBS.200019")
    job = cloud.show_job_detail(dds_sdk.ShowJobDetailRequest(id=first.job_id)).job
    check((job.id, job.status, job.progress, job.instance.id) == (first.job_id, "Running", "60%", instance), job)
    done = until(lambda: [b for b in listed(backup_id=first.backup_id).backups if b.status == "COMPLETED"], "DDS backup")[0]
    check((done.size, done.datastore.type, done.description) == (1536000, "DDS-Community", "made by the SDK"), done)
    check(re.match(BLANK_TIME, done.begin_time) and re.match(BLANK_TIME, done.end_time), done)
    page = listed(instance_id=instance, backup_type="Manual", begin_time=done.begin_time, end_time="2099-01-01 00:00:00")
    whole(json.loads(page.raw_content)["backups"][0], page.backups[0])
    check(page.total_count == 1, page)
    refused(lambda: listed(backup_type="manual"), 400, "DBS.280001")
    refused(lambda: listed(limit=101), 400, "DBS.280439")
    refused(lambda: create("sdk-dds-1"), 400, "DBS.201201")
    refused(lambda: create("sdk-dds-3", instance="0" * 32 + "in02"), 404, "DBS.200002")
    refused(lambda: create("sdk-dds-3", using=client(kind, "dds", secret="wrong")), 401, "APIGW.0301")
    instances = cloud.list_instances(dds_sdk.ListInstancesRequest(id=instance)).instances
    check([(i.id, i.status) for i in instances] == [(instance, "normal")], instances)

    gone = delete(first.backup_id)
    check(gone.status_code == 200 and gone.job_id, gone)
    check(listed(backup_id=first.backup_id).backups[0].status == "DISABLED", "a backup that is being deleted")
    until(lambda: listed(backup_id=first.backup_id).total_count == 0, "the delete at DDS")
    refused(lambda: delete(first.backup_id), 400, "DBS.201214")

    token_bearer = with_token(kind, "dds")
    second = create("sdk-dds-token", using=token_bearer).backup_id
    until(lambda: listed(using=token_bearer).backups[0].status == "COMPLETED", "the DDS backup by token")
    check(delete(second, using=token_bearer).status_code == 200, "the delete by token")

    huawei = client(kind, "dds", project=GIVEN["huawei_project"])
    create("sdk-dds-huawei", instance=GIVEN["dds_huawei"], using=huawei)
    check([listed(using=huawei, backup_name=part).total_count for part in ("dds-h", "other")] == [1, 0], "the filter by name")


def gaussdb():
    cloud, instance = client(gaussdb_sdk.GaussDBforopenGaussClient, "gaussdb"), GIVEN["gaussdb_instance"]
    kind = gaussdb_sdk.GaussDBforopenGaussClient

    def create(name, instance=instance, using=cloud, **more):
        body = gaussdb_sdk.CreateManualBackupRequestBody(instance_id=instance, name=name, **more)
        return using.create_manual_backup(gaussdb_sdk.CreateManualBackupRequest(body=body))

    def listed(using=cloud, **query):
        return using.list_backups(gaussdb_sdk.ListBackupsRequest(**query))

    def delete(id, using=cloud):
        return using.delete_manual_backup(gaussdb_sdk.DeleteManualBackupRequest(backup_id=id))

    first = create("sdk-gauss-1", description="made by the SDK")
    check(first.status_code == 202 and first.job_id, first)
    made = first.backup
    whole(json.loads(first.raw_content), first)
    check((made.name, made.status, made.type, made.instance_id) == ("sdk-gauss-1", "BUILDING", "manual", instance), made)
    check(re.match(OFFSET_TIME, made.begin_time), made)
    refused(lambda: create("sdk-gauss-2"), 409, "DBS.201205")
    refused(lambda: delete(made.id), 400, "DBS.201208")
    job = cloud.show_job_detail(gaussdb_sdk.ShowJobDetailRequest(id=first.job_id)).job
    check((job.name, job.status) == ("BackupSnapshotGaussDBV5InInstance", "Running"), job)
    done = until(lambda: [b for b in listed(backup_id=made.id).backups if b.status == "COMPLETED"], "GaussDB backup")[0]
    check((done.size, done.datastore.type, done.description) == (1500.0, "GaussDB", "made by the SDK"), done)
    page = listed(instance_id=instance, backup_type="manual", begin_time=done.begin_time, end_time="2099-01-01T00:00:00+0800")
    whole(json.loads(page.raw_content)["backups"][0], page.backups[0])
    check(page.total_count == 1, page)
    refused(lambda: listed(backup_type="Manual"), 400, "DBS.280001")
    refused(lambda: create("sdk-gauss-1"), 409, "DBS.201201")
    refused(lambda: create("1bad"), 400, "DBS.201210")
    refused(lambda: create("sdk-gauss-3", instance="0" * 32 + "in14"), 404, "DBS.200002")
    refused(lambda: create("sdk-gauss-3", using=client(kind, "gaussdb", secret="wrong")), 401, "APIGW.0301")
    instances = cloud.list_instances(gaussdb_sdk.ListInstancesRequest(id=instance)).instances
    check([(i.id, i.type, i.status) for i in instances] == [(instance, "Ha", "ACTIVE")], instances)

    gone = delete(made.id)
    check((gone.status_code, gone.backup_id, gone.backup_name) == (202, None, None), gone)
    until(lambda: listed(backup_id=made.id).total_count == 0, "the delete at GaussDB")
    refused(lambda: delete(made.id), 400, "DBS.201203")

    token_bearer = with_token(kind, "gaussdb")
    second = create("sdk-gauss-token", using=token_bearer).backup.id
    until(lambda: listed(using=token_bearer).backups[0].status == "COMPLETED", "the GaussDB backup by token")
    check(delete(second, using=token_bearer).status_code == 202, "the delete by token")

    huawei = client(kind, "gaussdb", project=GIVEN["huawei_project"])
    third = create("sdk-gauss-huawei", instance=GIVEN["gaussdb_huawei"], using=huawei)
    check(third.status_code == 200 and third.job_id, third)
    until(lambda: listed(using=huawei).backups[0].status == "COMPLETED", "the GaussDB backup at Huawei Cloud")
    newer = huawei.list_backups_details(gaussdb_sdk.ListBackupsDetailsRequest())
    check([b.id for b in newer.backups] == [third.backup.id], newer)
    gone = delete(third.backup.id, using=huawei)
    check((gone.status_code, gone.backup_id, gone.backup_name) == (200, third.backup.id, "sdk-gauss-huawei"), gone)


def global_client():
    credentials = GlobalCredentials(GIVEN["access_key"], GIVEN["secret_key"], GIVEN["domain_id"])
    return IamClient.new_builder().with_credentials(credentials).with_endpoint(GIVEN["iam"]).build()


def token(password):
    user = PwdPasswordUser(name=GIVEN["user"], password=password, domain=PwdPasswordUserDomain(name=GIVEN["domain"]))
    scope = AuthScope(project=AuthScopeProject(name=GIVEN["region"]))
    identity = PwdIdentity(methods=["password"], password=PwdPassword(user=user))
    body = KeystoneCreateUserTokenByPasswordRequestBody(auth=PwdAuth(identity=identity, scope=scope))
    return global_client().keystone_create_user_token_by_password(KeystoneCreateUserTokenByPasswordRequest(body=body))


def iam():
    found = global_client().keystone_list_projects(KeystoneListProjectsRequest(name=GIVEN["region"])).projects
    check([p.id for p in found] == [GIVEN["project"]], found)
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


for part in (iam, project_lookup, geminidb, taurusdb, dcs, rds, dds, gaussdb):
    part()
    print("ok", part.__name__)
