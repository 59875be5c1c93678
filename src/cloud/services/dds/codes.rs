//! What the error codes of DDS mean: those of the Open Telekom Cloud reference's table (an earlier edition as well), of GeminiDB's table, which is
//! of the same family, where it alone has a code, of the vendor's OpenAPI files, and of its Terraform provider. Clusters, replica sets and single
//! nodes can all be backed up.

use crate::cloud::codes::{Class, Codes};

/// Each code once. Which class and why: `Class`, and the list beside the test that compares this with it.
pub(super) const CODES: &[Codes] = &[
    // The vendor's Terraform provider takes 201502 for a missing backup; its text says instance. 200604: the instance is of another project.
    Codes {
        class: Class::InstanceNotFound,
        codes: &["DBS.200002", "DBS.200604", "DBS.201028", "DBS.201501", "DBS.201502", "DBS.216016", "DBS.280110"],
    },
    // The vendor sends most of these with 403, which is otherwise a missing permission.
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.00010009", "DBS.200011", "DBS.200018", "DBS.200019", "DBS.200047", "DBS.200076", "DBS.200998", "DBS.201000", "DBS.201014",
            "DBS.201015", "DBS.201202",
        ],
    },
    // Looked up like an answer that did not come: the name may be that of the backup which an earlier call made.
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    // The message of 201204 is that of a busy instance, but its description and remedy say that the backup is missing.
    Codes { class: Class::BackupNotFound, codes: &["DBS.201204", "DBS.201214"] },
    // A restore reads the backup.
    Codes { class: Class::DeleteLater, codes: &["DBS.201319"] },
    // 280409, 280439 and 280440 are about the time, the limit and the offset of a listing.
    Codes {
        class: Class::Invalid,
        codes: &[
            "DBS.200001", "DBS.200095", "DBS.201006", "DBS.280001", "DBS.280124", "DBS.280127", "DBS.280277", "DBS.280404", "DBS.280409",
            "DBS.280439", "DBS.280440", "DBS.290000",
        ],
    },
    Codes { class: Class::Misconfigured, codes: &["DBS.280408"] },
    Codes { class: Class::Unsupported, codes: &["DBS.200042", "DBS.201020", "DBS.280347"] },
    // Not taken for a missing permission: the remedies of 200010 and 280015 are about the token and its project.
    Codes { class: Class::Unauthenticated, codes: &["DBS.200010", "DBS.280015", "DBS.280056"] },
    // 280019: the account is suspended.
    Codes { class: Class::Forbidden, codes: &["DBS.280019", "DBS.280032", "DBS.280063"] },
    Codes { class: Class::Throttled, codes: &["DBS.280443"] },
    // 200028: the storage has its greatest size. 200165 to 200167 are quotas of the enterprise project, which only GeminiDB's table has.
    Codes { class: Class::Quota, codes: &["DBS.200028", "DBS.200165", "DBS.200166", "DBS.200167"] },
    // 201509: the storage of backups failed. 280064: the check of permissions failed, and that says nothing about permissions, although it comes
    // with 401.
    Codes { class: Class::Unavailable, codes: &["DBS.201509", "DBS.280005", "DBS.280064"] },
    // Of instances and their nodes, storage and network, accounts, roles and databases, parameter templates, backup policies, restores, sessions,
    // jobs and tags. 280016 says that something is missing, and not what. 200004 says that an operation is not allowed, and not why, and the remedy
    // of 280042 names the state of the instance. 280343 (an operation that is not supported) is one that the vendor's Terraform provider tries again
    // on RDS. 200507 (the disk's key is not available) may pass. The provider has 200602 without a text.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "DBS.200004", "DBS.200013", "DBS.200022", "DBS.200024", "DBS.200025", "DBS.200029", "DBS.200041", "DBS.200048", "DBS.200049",
            "DBS.200050", "DBS.200052", "DBS.200053", "DBS.200054", "DBS.200057", "DBS.200059", "DBS.200060", "DBS.200068", "DBS.200072",
            "DBS.200075", "DBS.200077", "DBS.200091", "DBS.200092", "DBS.200302", "DBS.200303", "DBS.200304", "DBS.200306", "DBS.200311",
            "DBS.200434", "DBS.200451", "DBS.200462", "DBS.200470", "DBS.200501", "DBS.200502", "DBS.200503", "DBS.200506", "DBS.200507",
            "DBS.200543", "DBS.200602", "DBS.200700", "DBS.200701", "DBS.200702", "DBS.200816", "DBS.200817", "DBS.200818", "DBS.200823",
            "DBS.200824", "DBS.200826", "DBS.200827", "DBS.200828", "DBS.212001", "DBS.212003", "DBS.212006", "DBS.212008", "DBS.212013",
            "DBS.212017", "DBS.212019", "DBS.212028", "DBS.212030", "DBS.212031", "DBS.212032", "DBS.216026", "DBS.216030", "DBS.216031",
            "DBS.238007", "DBS.239011", "DBS.239012", "DBS.239014", "DBS.239015", "DBS.239016", "DBS.239017", "DBS.239018", "DBS.239019",
            "DBS.239020", "DBS.239021", "DBS.239022", "DBS.239029", "DBS.239031", "DBS.239032", "DBS.239033", "DBS.239037", "DBS.280016",
            "DBS.280042", "DBS.280066", "DBS.280067", "DBS.280068", "DBS.280122", "DBS.280123", "DBS.280200", "DBS.280214", "DBS.280215",
            "DBS.280216", "DBS.280234", "DBS.280235", "DBS.280236", "DBS.280239", "DBS.280241", "DBS.280242", "DBS.280244", "DBS.280247",
            "DBS.280248", "DBS.280249", "DBS.280266", "DBS.280267", "DBS.280271", "DBS.280280", "DBS.280284", "DBS.280292", "DBS.280311",
            "DBS.280314", "DBS.280327", "DBS.280328", "DBS.280342", "DBS.280343", "DBS.280361", "DBS.280365", "DBS.280406", "DBS.280407",
            "DBS.280414", "DBS.280416", "DBS.280421", "DBS.280433", "DBS.280434", "DBS.280437", "DBS.280438", "DBS.280441", "DBS.280445",
            "DBS.280446", "DBS.280469", "DBS.280482", "DBS.280483", "DBS.280484", "DBS.301071", "DBS.301072", "DBS.301073", "DBS.301074",
            "DBS.301075", "DBS.301076", "DBS.301077",
        ],
    },
];
