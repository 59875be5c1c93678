//! What the error codes of DDS mean.

use crate::cloud::codes::{Class, Codes};

/// Each code once.
pub(super) const CODES: &[Codes] = &[
    Codes { class: Class::InstanceNotFound, codes: &["DBS.200002", "DBS.201028", "DBS.201501", "DBS.201502", "DBS.216016"] },
    Codes {
        class: Class::Busy,
        codes: &[
            "DBS.00010009", "DBS.200011", "DBS.200018", "DBS.200019", "DBS.200076", "DBS.200998", "DBS.201000", "DBS.201014", "DBS.201015",
            "DBS.201202",
        ],
    },
    Codes { class: Class::NameExists, codes: &["DBS.201201"] },
    Codes { class: Class::BackupNotFound, codes: &["DBS.201204", "DBS.201214"] },
    Codes { class: Class::DeleteLater, codes: &["DBS.201319"] },
    Codes { class: Class::Unauthenticated, codes: &["DBS.280056"] },
    Codes { class: Class::Quota, codes: &["DBS.200165", "DBS.200166", "DBS.200167"] },
];
