//! What the error codes of GaussDB(for MySQL) and TaurusDB mean: those of the Open Telekom Cloud references' tables (the older one's first edition
//! as well), of the vendor's page of duplicates, and of its Terraform provider.

use crate::cloud::codes::{Class, Codes};

/// Each code once. Which class and why: `Class`, and the list beside the test that compares this with it.
pub(in crate::cloud::services) const CODES: &[Codes] = &[
    Codes {
        class: Class::InstanceNotFound,
        codes: &["DBS.200002", "DBS.200045", "DBS.200408", "DBS.200602", "DBS.201028", "DBS.290005", "DBS.290011"],
    },
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.05000084", "DBS.200011", "DBS.200019", "DBS.200047", "DBS.200086", "DBS.200316", "DBS.201014", "DBS.201015", "DBS.201202",
            "DBS.201205", "DBS.212006", "DBS.212033", "DBS.280406", "DBS.280449",
        ],
    },
    Codes { class: Class::NameExists, codes: &["DBS.201209"] },
    // 280214 is a retention period elsewhere, and a missing backup here.
    Codes { class: Class::BackupNotFound, codes: &["DBS.201010", "DBS.201203", "DBS.280214"] },
    Codes { class: Class::DeleteLater, codes: &["DBS.201208"] },
    // 200004, 290000, 290001, 200006 and 280204 say of the request as a whole that it is wrong, as 200001 and 280001 do.
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.200001", "DBS.200004", "DBS.200006", "DBS.201204", "DBS.201210", "DBS.280001", "DBS.280124", "DBS.280127", "DBS.280204",
            "DBS.280277", "DBS.280404", "DBS.280439", "DBS.290000", "DBS.290001",
        ],
    },
    Codes { class: Class::Unsupported, codes: &["DBS.200040", "DBS.200042", "DBS.201207", "DBS.280238"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    // Their texts say "missing or not permitted", so none of them means that a backup or an instance is gone.
    Codes { class: Class::Forbidden, codes: &["DBS.200010", "DBS.200044", "DBS.200604", "DBS.201003", "DBS.280015"] },
    Codes { class: Class::Throttled, codes: &["DBS.280443"] },
    Codes { class: Class::Quota, codes: &["DBS.200046", "DBS.290003"] },
    Codes {
        class: Class::Unavailable,
        codes: &[
            "DBS.108000", "DBS.108002", "DBS.108005", "DBS.200005", "DBS.200208", "DBS.200811", "DBS.200821", "DBS.213002", "DBS.213004",
            "DBS.280471", "DBS.290006", "DBS.290015",
        ],
    },
    // Of instances and their nodes, storage and network, accounts and databases, parameter templates, proxies, backup policies, restores, tags and
    // orders. 290013 says that something is missing, and not what. 200543 is a job that nobody knows: no call here asks for a job.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "DBS.200008", "DBS.200013", "DBS.200021", "DBS.200022", "DBS.200023", "DBS.200024", "DBS.200025", "DBS.200026", "DBS.200027",
            "DBS.200041", "DBS.200043", "DBS.200048", "DBS.200049", "DBS.200050", "DBS.200051", "DBS.200052", "DBS.200053", "DBS.200054",
            "DBS.200056", "DBS.200063", "DBS.200087", "DBS.200098", "DBS.200302", "DBS.200306", "DBS.200461", "DBS.200470", "DBS.200501",
            "DBS.200503", "DBS.200504", "DBS.200543", "DBS.200810", "DBS.200819", "DBS.200823", "DBS.200824", "DBS.200826", "DBS.200827",
            "DBS.200828", "DBS.200910", "DBS.201101", "DBS.201103", "DBS.201106", "DBS.212001", "DBS.212002", "DBS.212003", "DBS.212004",
            "DBS.212005", "DBS.212007", "DBS.212008", "DBS.212009", "DBS.212010", "DBS.212011", "DBS.212012", "DBS.212014", "DBS.212015",
            "DBS.212016", "DBS.212017", "DBS.212019", "DBS.212025", "DBS.212030", "DBS.212032", "DBS.212037", "DBS.270024", "DBS.270025",
            "DBS.270026", "DBS.270027", "DBS.280128", "DBS.280203", "DBS.280216", "DBS.280227", "DBS.280234", "DBS.280235", "DBS.280236",
            "DBS.280237", "DBS.280239", "DBS.280241", "DBS.280242", "DBS.280243", "DBS.280246", "DBS.280247", "DBS.280248", "DBS.280250",
            "DBS.280251", "DBS.280253", "DBS.280260", "DBS.280266", "DBS.280270", "DBS.280271", "DBS.280272", "DBS.280285", "DBS.280288",
            "DBS.280305", "DBS.280311", "DBS.280325", "DBS.280342", "DBS.280364", "DBS.280365", "DBS.280402", "DBS.280431", "DBS.280433",
            "DBS.280434", "DBS.280447", "DBS.280448", "DBS.280450", "DBS.280462", "DBS.280463", "DBS.280464", "DBS.280465", "DBS.280466",
            "DBS.280467", "DBS.280468", "DBS.280470", "DBS.290002", "DBS.290013",
        ],
    },
];
