//! What GeminiDB's error codes mean: those of the Open Telekom Cloud reference's table, and one of the vendor's Terraform provider.

use crate::cloud::codes::{Class, Codes};

/// Each code once. Which class and why: `Class`, and the list beside the test that compares this with it.
pub(super) const CODES: &[Codes] = &[
    Codes {
        class: Class::InstanceNotFound,
        codes: &["DBS.200002", "DBS.200604", "DBS.201028", "DBS.201501", "DBS.201502", "DBS.216016", "DBS.280110"],
    },
    // The vendor sends most of these with 403, which is otherwise a missing permission.
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.200011", "DBS.200018", "DBS.200019", "DBS.200047", "DBS.200076", "DBS.200998", "DBS.201000", "DBS.201014", "DBS.201015",
            "DBS.201202",
        ],
    },
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    Codes { class: Class::BackupNotFound, codes: &["DBS.201204", "DBS.201214"] },
    Codes { class: Class::DeleteLater, codes: &["DBS.201319"] },
    // 280040 and 280042 say of the request as a whole that it is wrong, as 200001 and 280001 do.
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.200001", "DBS.200095", "DBS.201006", "DBS.201212", "DBS.280001", "DBS.280040", "DBS.280042", "DBS.280124", "DBS.280127",
            "DBS.280277", "DBS.280404", "DBS.280439", "DBS.280440", "DBS.290000",
        ],
    },
    Codes { class: Class::Misconfigured, codes: &["DBS.280408"] },
    Codes { class: Class::Unsupported, codes: &["DBS.200042", "DBS.201020", "DBS.216029", "DBS.280341", "DBS.280347"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.200010", "DBS.280015", "DBS.280056"] },
    Codes { class: Class::Forbidden, codes: &["DBS.280032", "DBS.280063"] },
    Codes { class: Class::Throttled, codes: &["DBS.280443"] },
    // 200028: the storage has its greatest size.
    Codes { class: Class::Quota, codes: &["DBS.200028", "DBS.200165", "DBS.200166", "DBS.200167"] },
    // 111205 is a timeout after which the backup may be there. 280005 (server error) and 280064 (the check of permissions failed) are the cloud's own
    // faults, and the vendor's Terraform provider expects 280005 with 4xx, too.
    Codes { class: Class::Unavailable, codes: &["DBS.111205", "DBS.280005", "DBS.280064"] },
    // Of instances and their nodes, storage and network, accounts and databases, parameter templates, backup policies, restores, sessions and tags.
    // 280016 says that something is missing, and not what. 280456 (the billing mode does not allow it) and 200507 (the disk's key is not available)
    // may pass.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "DBS.03000001", "DBS.03000002", "DBS.03000003", "DBS.03000004", "DBS.200013", "DBS.200022", "DBS.200024", "DBS.200025",
            "DBS.200029", "DBS.200041", "DBS.200048", "DBS.200049", "DBS.200050", "DBS.200052", "DBS.200053", "DBS.200054", "DBS.200057",
            "DBS.200058", "DBS.200059", "DBS.200060", "DBS.200063", "DBS.200068", "DBS.200072", "DBS.200075", "DBS.200077", "DBS.200091",
            "DBS.200092", "DBS.200302", "DBS.200303", "DBS.200304", "DBS.200306", "DBS.200311", "DBS.200434", "DBS.200451", "DBS.200462",
            "DBS.200470", "DBS.200501", "DBS.200502", "DBS.200503", "DBS.200506", "DBS.200507", "DBS.200700", "DBS.200701", "DBS.200702",
            "DBS.200705", "DBS.200816", "DBS.200817", "DBS.200818", "DBS.200823", "DBS.200824", "DBS.200826", "DBS.200827", "DBS.200828",
            "DBS.201035", "DBS.201038", "DBS.201101", "DBS.201106", "DBS.201215", "DBS.212001", "DBS.212003", "DBS.212006", "DBS.212008",
            "DBS.212013", "DBS.212017", "DBS.212019", "DBS.212028", "DBS.212030", "DBS.212031", "DBS.212032", "DBS.212035", "DBS.212037",
            "DBS.216030", "DBS.238007", "DBS.239010", "DBS.239011", "DBS.239012", "DBS.239013", "DBS.239014", "DBS.240001", "DBS.240002",
            "DBS.240009", "DBS.240010", "DBS.240012", "DBS.240013", "DBS.280016", "DBS.280045", "DBS.280066", "DBS.280067", "DBS.280068",
            "DBS.280122", "DBS.280123", "DBS.280125", "DBS.280200", "DBS.280214", "DBS.280215", "DBS.280216", "DBS.280234", "DBS.280235",
            "DBS.280236", "DBS.280239", "DBS.280240", "DBS.280241", "DBS.280242", "DBS.280244", "DBS.280247", "DBS.280248", "DBS.280249",
            "DBS.280251", "DBS.280266", "DBS.280267", "DBS.280269", "DBS.280280", "DBS.280284", "DBS.280292", "DBS.280311", "DBS.280314",
            "DBS.280327", "DBS.280342", "DBS.280391", "DBS.280406", "DBS.280407", "DBS.280414", "DBS.280416", "DBS.280421", "DBS.280433",
            "DBS.280434", "DBS.280437", "DBS.280438", "DBS.280441", "DBS.280444", "DBS.280445", "DBS.280446", "DBS.280453", "DBS.280456",
            "DBS.280465", "DBS.280469", "DBS.280480", "DBS.301024", "DBS.301040", "DBS.301071", "DBS.301072", "DBS.301073", "DBS.301074",
            "DBS.301075", "DBS.301076", "DBS.301077",
        ],
    },
];
