//! What the error codes of RDS mean.

use crate::cloud::codes::{Class, Codes};

/// Each code once.
pub(super) const CODES: &[Codes] = &[
    Codes { class: Class::InstanceNotFound, codes: &["DBS.200002", "DBS.200045", "DBS.201028"] },
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.200011", "DBS.200018", "DBS.200019", "DBS.200047", "DBS.200076", "DBS.200611", "DBS.201014", "DBS.201015", "DBS.201202",
            "DBS.201205", "DBS.201206", "DBS.212033", "DBS.280011", "DBS.280343", "DBS.280816", "RDS.3004",
        ],
    },
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    Codes { class: Class::BackupNotFound, codes: &["DBS.201010", "DBS.201203", "DBS.280214", "RDS.3026"] },
    Codes { class: Class::DeleteLater, codes: &["RDS.3016"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    Codes { class: Class::Quota, codes: &["DBS.200046", "DBS.290003", "RDS.3003"] },
];
