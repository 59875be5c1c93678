//! What the error codes of RDS mean: those of the Open Telekom Cloud reference's tables (the `RDS.` codes are of its older API, and some of them are
//! the only ones for their case), of the vendor's OpenAPI files, and of its Terraform provider. No code is published for a backup of a read replica,
//! which RDS does not allow; single instances can be backed up.

use crate::cloud::codes::{Class, Codes};

/// Each code once. Which class and why: `Class`, and the list beside the test that compares this with it.
pub(super) const CODES: &[Codes] = &[
    Codes {
        class: Class::InstanceNotFound,
        codes: &[
            "DBS.200002", "DBS.200045", "DBS.200408", "DBS.200602", "DBS.201028", "DBS.290005", "DBS.290011", "RDS.0002", "RDS.0022",
            "RDS.1103",
        ],
    },
    // 200086, 200316, 280449 and 01280030: a state of the instance that may pass (stopped, storage full, frozen). 280011 says "abnormal or deleted",
    // and 0056 "not allowed by its type or state", so neither is taken for a missing instance or for a kind that cannot be backed up. 280343 is an
    // operation that is not supported in DDS' table, but the vendor's Terraform provider tries again after it. 1100: the instance is being deleted;
    // 200002 follows when it is gone.
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.01280030", "DBS.200011", "DBS.200018", "DBS.200019", "DBS.200047", "DBS.200076", "DBS.200086", "DBS.200316", "DBS.200611",
            "DBS.201014", "DBS.201015", "DBS.201202", "DBS.201205", "DBS.201206", "DBS.212006", "DBS.212033", "DBS.280011", "DBS.280343",
            "DBS.280449", "DBS.280816", "RDS.0011", "RDS.0056", "RDS.1002", "RDS.1100", "RDS.3002", "RDS.3004",
        ],
    },
    // Looked up like an answer that did not come: the name may be that of the backup which an earlier call made.
    Codes { class: Class::NameExists, codes: &["DBS.201201", "RDS.0031"] },
    // 280214 is a retention period elsewhere, and a missing backup here.
    Codes { class: Class::BackupNotFound, codes: &["DBS.201010", "DBS.201203", "DBS.280214", "RDS.3026"] },
    // 200054: the backup is in use, in the answer of the call that deletes several. Of the calls that create an instance it says that a flavor is
    // wrong.
    Codes { class: Class::DeleteLater, codes: &["DBS.200054", "RDS.3016"] },
    // 200004, 200006, 200405, 280204, 290000 and 290001 say of the request as a whole that it is wrong, as 200001 and 280001 do. 280277 and 5044 are
    // names.
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.200001", "DBS.200004", "DBS.200006", "DBS.200405", "DBS.280001", "DBS.280127", "DBS.280204", "DBS.280277", "DBS.280404",
            "DBS.290000", "DBS.290001", "RDS.0001", "RDS.0006", "RDS.0017", "RDS.5044",
        ],
    },
    Codes { class: Class::Unsupported, codes: &["DBS.200040", "DBS.200042", "DBS.201207", "DBS.280238", "RDS.5005"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    // Their texts say "missing or not permitted", so none of them means that a backup or an instance is gone.
    Codes {
        class: Class::Forbidden,
        codes: &["DBS.200010", "DBS.200044", "DBS.200604", "DBS.201003", "DBS.280015", "RDS.0010", "RDS.0015"],
    },
    // 3003 counts manual backups, 0030 objects of any kind, and 216028 is a quota inside the cloud.
    Codes { class: Class::Quota, codes: &["DBS.200046", "DBS.216028", "DBS.290003", "RDS.0030", "RDS.1112", "RDS.3003"] },
    // The vendor sends these with 500, whatever they are about. 111205 is a timeout after which the backup may be there.
    Codes {
        class: Class::Unavailable,
        codes: &[
            "DBS.108000", "DBS.108002", "DBS.108005", "DBS.111205", "DBS.200005", "DBS.200811", "DBS.213004", "DBS.280036", "DBS.290006",
            "DBS.290015", "RDS.0005", "RDS.0013", "RDS.1001", "RDS.1003", "RDS.1004", "RDS.1005", "RDS.1099", "RDS.1101", "RDS.2068",
            "RDS.3005", "RDS.4041", "RDS.4042", "RDS.9999",
        ],
    },
    // Of instances and their nodes, storage and network, accounts and databases, parameter groups, backup policies, restores, jobs, tags and
    // proxies. 0029 says that an object is being created, which may be the backup that was asked for. 212015 is a partial success. 200402, 0004 and
    // 5045 say that an operation is not allowed, and not why; 0042 that a request is invalid, and not how. 0016 and 290013 say that something is
    // missing, and not what; 200203 is a failed query of the instance. 200080, 200452, 200463 and 01010337 are in the provider's list without a
    // text, and 280228 is an operation on backups in another region.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "DBS.01010244", "DBS.01010337", "DBS.01010340", "DBS.200008", "DBS.200013", "DBS.200021", "DBS.200022", "DBS.200023",
            "DBS.200024", "DBS.200025", "DBS.200026", "DBS.200027", "DBS.200041", "DBS.200043", "DBS.200048", "DBS.200049", "DBS.200050",
            "DBS.200051", "DBS.200052", "DBS.200053", "DBS.200055", "DBS.200056", "DBS.200080", "DBS.200087", "DBS.200098", "DBS.200203",
            "DBS.200303", "DBS.200306", "DBS.200308", "DBS.200402", "DBS.200452", "DBS.200461", "DBS.200463", "DBS.200470", "DBS.200501",
            "DBS.200503", "DBS.200504", "DBS.200506", "DBS.200543", "DBS.200823", "DBS.200939", "DBS.201035", "DBS.201101", "DBS.201103",
            "DBS.201106", "DBS.212001", "DBS.212002", "DBS.212003", "DBS.212004", "DBS.212005", "DBS.212007", "DBS.212008", "DBS.212009",
            "DBS.212010", "DBS.212011", "DBS.212012", "DBS.212013", "DBS.212014", "DBS.212015", "DBS.212016", "DBS.212017", "DBS.212019",
            "DBS.212025", "DBS.212030", "DBS.212032", "DBS.212037", "DBS.280128", "DBS.280228", "DBS.280235", "DBS.280239", "DBS.280241",
            "DBS.280246", "DBS.280250", "DBS.280253", "DBS.280270", "DBS.280271", "DBS.280272", "DBS.280285", "DBS.280450", "DBS.290002",
            "DBS.290013", "RDS.0004", "RDS.0007", "RDS.0008", "RDS.0009", "RDS.0012", "RDS.0016", "RDS.0025", "RDS.0027", "RDS.0028",
            "RDS.0029", "RDS.0040", "RDS.0042", "RDS.0062", "RDS.0128", "RDS.1102", "RDS.1110", "RDS.1111", "RDS.2025", "RDS.2067",
            "RDS.3011", "RDS.3012", "RDS.3013", "RDS.3027", "RDS.3029", "RDS.3030", "RDS.5001", "RDS.5002", "RDS.5003", "RDS.5004",
            "RDS.5006", "RDS.5007", "RDS.5008", "RDS.5009", "RDS.5010", "RDS.5011", "RDS.5012", "RDS.5013", "RDS.5014", "RDS.5015",
            "RDS.5016", "RDS.5017", "RDS.5018", "RDS.5019", "RDS.5020", "RDS.5021", "RDS.5022", "RDS.5023", "RDS.5024", "RDS.5025",
            "RDS.5026", "RDS.5027", "RDS.5028", "RDS.5029", "RDS.5030", "RDS.5031", "RDS.5032", "RDS.5033", "RDS.5035", "RDS.5036",
            "RDS.5037", "RDS.5038", "RDS.5039", "RDS.5040", "RDS.5041", "RDS.5042", "RDS.5043", "RDS.5045",
        ],
    },
];
