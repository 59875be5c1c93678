//! What the error codes of GaussDB (openGauss) mean: those of the Open Telekom Cloud reference's table (an earlier edition as well), of the vendor's
//! OpenAPI files, and of its Terraform provider.

use crate::cloud::codes::{Class, Codes};

/// Each code once. Which class and why: `Class`, and the list beside the test that compares this with it.
pub(super) const CODES: &[Codes] = &[
    Codes {
        class: Class::InstanceNotFound,
        codes: &["DBS.200002", "DBS.200045", "DBS.200602", "DBS.201028", "DBS.280022", "DBS.290005", "DBS.290011"],
    },
    // 200086, 200316, 280449, 280800 and 06010001: a state of the instance that may pass (stopped, storage full, frozen). 200408 comes with 404, but
    // says that no node is in order; an earlier edition said that the instance does not exist. 280011 says "abnormal or deleted", and 280406 "not
    // allowed by its type or state", so neither is taken for a missing instance or for a kind that cannot be backed up.
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.05000084", "DBS.06010001", "DBS.06020003", "DBS.200011", "DBS.200019", "DBS.200047", "DBS.200086", "DBS.200316",
            "DBS.200408", "DBS.201014", "DBS.201015", "DBS.201202", "DBS.201205", "DBS.212006", "DBS.212033", "DBS.216011", "DBS.280011",
            "DBS.280406", "DBS.280449", "DBS.280800",
        ],
    },
    // Looked up like an answer that did not come: the name may be that of the backup which an earlier call made.
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    // 200751 is what the vendor's Terraform provider gets for the deletion of a backup that is gone.
    Codes { class: Class::BackupNotFound, codes: &["DBS.200751", "DBS.201010", "DBS.201203"] },
    // The backup is not complete yet, or a restore reads it.
    Codes { class: Class::DeleteLater, codes: &["DBS.201208"] },
    // 200004, 200006, 200405, 280006, 280204, 290000 and 290001 say of the request as a whole that it is wrong, as 200001 and 280001 do. 201218: an
    // automatic backup cannot be deleted.
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.200001", "DBS.200004", "DBS.200006", "DBS.200405", "DBS.201210", "DBS.201218", "DBS.280001", "DBS.280006", "DBS.280124",
            "DBS.280127", "DBS.280204", "DBS.280277", "DBS.280404", "DBS.280439", "DBS.280440", "DBS.290000", "DBS.290001",
        ],
    },
    Codes { class: Class::Misconfigured, codes: &["DBS.280408"] },
    // 280650: the instance is one of another engine.
    Codes { class: Class::Unsupported, codes: &["DBS.200040", "DBS.200042", "DBS.201207", "DBS.280238", "DBS.280650"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    // Most texts say "missing or not permitted", so none of them means that a backup or an instance is gone. 280020: the account is restricted.
    Codes {
        class: Class::Forbidden,
        codes: &["DBS.200010", "DBS.200044", "DBS.200604", "DBS.201003", "DBS.216003", "DBS.280015", "DBS.280020"],
    },
    // 216028 is a quota inside the cloud.
    Codes { class: Class::Quota, codes: &["DBS.200046", "DBS.216028", "DBS.290003"] },
    // The vendor sends these with 500, but for 200943 (400): a task was handed to an agent that did not answer, and it may be done all the same.
    Codes {
        class: Class::Unavailable,
        codes: &[
            "DBS.00114000", "DBS.108000", "DBS.108002", "DBS.108005", "DBS.200005", "DBS.200208", "DBS.200811", "DBS.200821", "DBS.200943",
            "DBS.210001", "DBS.213002", "DBS.213004", "DBS.280005", "DBS.290006", "DBS.290015",
        ],
    },
    // Of instances and their nodes, shards, storage and network, accounts and databases, parameter templates, backup policies, restores, disaster
    // recovery, jobs, tags and orders. 200355 and 290013 say that something is missing, and not what; 200203 is a failed query of the instance.
    // 200402, 212003 and 06020162 say that an operation is not allowed, and not why. 06010013 is a wrong parameter, and for the vendor's Terraform
    // provider a missing thing. 212015 is a partial success. 280804 passes with an upgrade, 06280105 when a feature is enabled, and 200507 when the
    // key of the disk is there again.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "DBS.06010013", "DBS.06020105", "DBS.06020152", "DBS.06020153", "DBS.06020154", "DBS.06020161", "DBS.06020162", "DBS.06020175",
            "DBS.06020177", "DBS.06020180", "DBS.06280007", "DBS.06280032", "DBS.06280033", "DBS.06280105", "DBS.200008", "DBS.200013",
            "DBS.200021", "DBS.200022", "DBS.200023", "DBS.200024", "DBS.200025", "DBS.200026", "DBS.200027", "DBS.200029", "DBS.200041",
            "DBS.200043", "DBS.200048", "DBS.200049", "DBS.200050", "DBS.200051", "DBS.200052", "DBS.200053", "DBS.200054", "DBS.200055",
            "DBS.200056", "DBS.200057", "DBS.200058", "DBS.200059", "DBS.200061", "DBS.200062", "DBS.200063", "DBS.200064", "DBS.200065",
            "DBS.200068", "DBS.200082", "DBS.200087", "DBS.200098", "DBS.200174", "DBS.200175", "DBS.200203", "DBS.200302", "DBS.200303",
            "DBS.200306", "DBS.200308", "DBS.200355", "DBS.200402", "DBS.200461", "DBS.200470", "DBS.200475", "DBS.200478", "DBS.200501",
            "DBS.200502", "DBS.200503", "DBS.200504", "DBS.200505", "DBS.200506", "DBS.200507", "DBS.200543", "DBS.200712", "DBS.200810",
            "DBS.200819", "DBS.200823", "DBS.200824", "DBS.200825", "DBS.200826", "DBS.200827", "DBS.200828", "DBS.201004", "DBS.201035",
            "DBS.201101", "DBS.201103", "DBS.201106", "DBS.212001", "DBS.212002", "DBS.212003", "DBS.212004", "DBS.212005", "DBS.212007",
            "DBS.212008", "DBS.212009", "DBS.212010", "DBS.212011", "DBS.212012", "DBS.212013", "DBS.212014", "DBS.212015", "DBS.212016",
            "DBS.212017", "DBS.212019", "DBS.212025", "DBS.212030", "DBS.212032", "DBS.212037", "DBS.216030", "DBS.280128", "DBS.280132",
            "DBS.280203", "DBS.280214", "DBS.280215", "DBS.280216", "DBS.280234", "DBS.280235", "DBS.280236", "DBS.280237", "DBS.280239",
            "DBS.280241", "DBS.280242", "DBS.280243", "DBS.280246", "DBS.280250", "DBS.280251", "DBS.280253", "DBS.280262", "DBS.280266",
            "DBS.280270", "DBS.280271", "DBS.280272", "DBS.280285", "DBS.280288", "DBS.280311", "DBS.280325", "DBS.280342", "DBS.280364",
            "DBS.280365", "DBS.280402", "DBS.280407", "DBS.280416", "DBS.280433", "DBS.280434", "DBS.280447", "DBS.280450", "DBS.280600",
            "DBS.280601", "DBS.280602", "DBS.280604", "DBS.280606", "DBS.280607", "DBS.280608", "DBS.280609", "DBS.280611", "DBS.280612",
            "DBS.280613", "DBS.280618", "DBS.280626", "DBS.280628", "DBS.280629", "DBS.280630", "DBS.280631", "DBS.280632", "DBS.280633",
            "DBS.280634", "DBS.280635", "DBS.280638", "DBS.280651", "DBS.280652", "DBS.280653", "DBS.280654", "DBS.280661", "DBS.280667",
            "DBS.280668", "DBS.280676", "DBS.280804", "DBS.280806", "DBS.280828", "DBS.290002", "DBS.290013", "DBS.301024",
        ],
    },
];
