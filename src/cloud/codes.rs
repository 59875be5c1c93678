//! What error codes mean: the classes, how a code and a status are put into one, and the codes that more than one service sends.

/// What an error means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// No connection came about: the cloud never saw the request.
    NotSent,
    /// The last check before the socket said no: the cloud never saw the request.
    Cancelled,
    /// The cloud failed, or did not answer.
    Unavailable,
    /// The answer makes no sense.
    Unreadable,
    /// Too many requests.
    Throttled,
    /// Something else is going on with the instance.
    Busy,
    /// Credentials that the cloud does not accept.
    Unauthenticated,
    /// A missing permission.
    Forbidden,
    /// No such instance.
    InstanceNotFound,
    /// No such backup.
    BackupNotFound,
    /// A backup of that name exists.
    NameExists,
    /// The backup is in use or not complete yet, and can be deleted later.
    DeleteLater,
    /// The request can never succeed as it is.
    Invalid,
    /// The instance's kind cannot be backed up.
    Unsupported,
    /// A quota is used up.
    Quota,
    /// The address does not serve this API, or serves another project.
    Misconfigured,
    /// The vendor lists the code, and it is treated as one that no table has: it belongs to calls that are not made here (changing an instance, say), or
    /// its meaning fits more than one class. No error has this class: its status decides, and it is not known.
    AsUnknown,
}

/// What the codes of one meaning are.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// What they mean.
    pub class: Class,
    /// The codes.
    pub codes: &'static [&'static str],
}

/// The class of a code in a service's spelling, by the tables: the gateway's, the service's `own`, and those of what services pass on. Absent where none
/// has it, or where one says that it is to be treated as unknown.
pub fn by_code(own: &[Codes], code: &str, status: u16) -> Option<Class> {
    let gateway = code.strip_prefix("APIGW.").or_else(|| code.strip_prefix("APIG."));
    if let Some(number) = gateway {
        // The gateway has one code for what the client and what the backend did wrong.
        return find(GATEWAY, number).map(|class| if number == "0201" && status >= 500 { Class::Unavailable } else { class });
    }
    [own, COMMON, IAM].into_iter().find_map(|table| find(table, code))
}

fn find(table: &[Codes], code: &str) -> Option<Class> {
    table.iter().find(|row| row.codes.contains(&code)).map(|row| row.class).filter(|class| *class != Class::AsUnknown)
}

/// The class of a refusal whose code no table has.
pub fn by_status(status: u16) -> Class {
    match status {
        401 => Class::Unauthenticated,
        403 => Class::Forbidden,
        // A redirect, or a path that is not served, is a matter of the address and says nothing about a backup.
        300..=399 | 404 | 405 => Class::Misconfigured,
        409 => Class::Busy,
        413 => Class::Quota,
        429 => Class::Throttled,
        408 | 500.. => Class::Unavailable,
        _ => Class::Invalid,
    }
}

/// Codes of the API gateway, without what stands before their dot: newer gateways say `APIGW.` and older ones `APIG.` (the vendor's page of gateway
/// error codes, and the Open Telekom Cloud gateway's guide). 0201 has a second meaning with 5xx.
pub const GATEWAY: &[Codes] = &[
    Codes { class: Class::Invalid, codes: &["0201", "0602", "0607"] },
    // 0204 and 0205: the gateway did not take the TLS version or the client's certificate.
    Codes { class: Class::Misconfigured, codes: &["0101", "0204", "0205"] },
    // The last eight are about the keys and tokens of apps.
    Codes {
        class: Class::Unauthenticated,
        codes: &[
            "0301", "0303", "0304", "0305", "0307", "0311", "0312", "0313", "1001", "1002", "1003", "1004", "1009", "2201", "2202", "2203",
        ],
    },
    Codes { class: Class::Forbidden, codes: &["0302", "0306", "0310", "0314", "0401", "0402", "0404", "0405", "0801", "0802"] },
    Codes { class: Class::Throttled, codes: &["0308"] },
    Codes { class: Class::Quota, codes: &["0501", "0502"] },
    Codes {
        class: Class::Unavailable,
        codes: &[
            "0103", "0104", "0105", "0106", "0107", "0202", "0203", "0601", "0605", "0606", "0608", "0609", "0610", "0611", "0612", "0613",
            "0615", "0616", "0617", "0705",
        ],
    },
    // Of the gateway's own calls for the tokens of apps.
    Codes { class: Class::AsUnknown, codes: &["2102", "2204", "2205", "2206", "2208", "2209", "2210", "2211", "2212", "2213"] },
];

/// Codes that come from more than one service (the vendor's Terraform provider).
pub const COMMON: &[Codes] = &[Codes { class: Class::Busy, codes: &["CBC.99003651"] }];

/// Codes of IAM, which other services pass on as they are (the Open Telekom Cloud reference's table). Those without letters come from its calls for users.
pub const IAM: &[Codes] = &[
    // IAM.1101 to IAM.1109 come with 400, but each is about the keys or the token: 1105 is an access key that expired.
    Codes {
        class: Class::Unauthenticated,
        codes: &[
            "IAM.0001", "IAM.0061", "IAM.0062", "IAM.0063", "IAM.0066", "IAM.0067", "IAM.1101", "IAM.1102", "IAM.1103", "IAM.1104",
            "IAM.1105", "IAM.1106", "IAM.1107", "IAM.1108", "IAM.1109",
        ],
    },
    // 0064 comes with 401, but it says that permissions are missing.
    Codes { class: Class::Forbidden, codes: &["IAM.0002", "IAM.0003", "IAM.0064", "IAM.0080", "IAM.0081", "IAM.0082", "IAM.0083"] },
    Codes { class: Class::Throttled, codes: &["IAM.0012"] },
    // 0020 comes with 410: the authentication of a region has moved to another region for a while.
    Codes { class: Class::Unavailable, codes: &["IAM.0006", "IAM.0020"] },
    // Of users, custom policies and MFA devices, and words that fit more than one thing: 0004 says that something is missing, and not what.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "1100", "1101", "1102", "1103", "1104", "1105", "1106", "1107", "1108", "1109", "1110", "1111", "1113", "1115", "1117", "1118",
            "1120", "IAM.0004", "IAM.0005", "IAM.0007", "IAM.0008", "IAM.0009", "IAM.0010", "IAM.0011", "IAM.0072", "IAM.0073", "IAM.0077",
            "IAM.1000", "IAM.1001", "IAM.1002", "IAM.1003", "IAM.1004", "IAM.1005", "IAM.1006", "IAM.1007", "IAM.1008", "IAM.1009",
            "IAM.1010", "IAM.1011", "IAM.1012", "IAM.1013", "IAM.1014", "IAM.1015", "IAM.1016", "IAM.1017", "IAM.1018", "IAM.1019",
            "IAM.1020", "IAM.1021", "IAM.1022", "IAM.1023", "IAM.1024", "IAM.1025", "IAM.1026", "IAM.1027", "IAM.1028", "IAM.1029",
            "IAM.1030", "IAM.1031", "IAM.1032", "IAM.1033", "IAM.1034", "IAM.1035", "IAM.1036", "IAM.1037", "IAM.1038", "IAM.1039",
            "IAM.1040", "IAM.1041", "IAM.1042", "IAM.1043", "IAM.1044", "IAM.1045", "IAM.1046", "IAM.1047", "IAM.1048", "IAM.1049",
            "IAM.1050", "IAM.1051", "IAM.1052", "IAM.1053", "IAM.1054", "IAM.1055", "IAM.1056", "IAM.1057", "IAM.1058", "IAM.1059",
            "IAM.1060", "IAM.1061", "IAM.1062",
        ],
    },
];
