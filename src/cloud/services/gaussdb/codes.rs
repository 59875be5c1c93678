//! What the error codes of GaussDB mean.

use crate::cloud::codes::{Class, Codes};

/// Each code once.
pub(super) const CODES: &[Codes] = &[
    Codes { class: Class::InstanceNotFound, codes: &["DBS.200002", "DBS.201028"] },
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.05000084", "DBS.06010001", "DBS.06020003", "DBS.200011", "DBS.200019", "DBS.200047", "DBS.201014", "DBS.201015",
            "DBS.201202", "DBS.201205", "DBS.216011",
        ],
    },
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    Codes { class: Class::BackupNotFound, codes: &["DBS.200751", "DBS.201010", "DBS.201203"] },
    Codes { class: Class::DeleteLater, codes: &["DBS.201208"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    Codes { class: Class::Quota, codes: &["DBS.200046", "DBS.216028", "DBS.290003"] },
];
