//! What DCS' error codes mean: those of the Open Telekom Cloud reference's table and of its examples, and of the vendor's Terraform provider.

use crate::cloud::codes::{Class, Codes};
use std::borrow::Cow;

/// Each code once; `own_spelling` brings the numeric ones here. Which class and why: `Class`, and the list beside the test that compares this with it.
pub(super) const CODES: &[Codes] = &[
    Codes { class: Class::InstanceNotFound, codes: &["DCS.3022"] },
    // 4107: an order to grow the instance has not been paid yet.
    Codes {
        class: Class::Busy,
        codes: &[
            "DCS.4017", "DCS.4026", "DCS.4049", "DCS.4096", "DCS.4097", "DCS.4104", "DCS.4107", "DCS.4108", "DCS.4111", "DCS.4113",
            "DCS.4114", "DCS.4115", "DCS.4116", "DCS.4117", "DCS.4118", "DCS.4120", "DCS.4121", "DCS.4231", "DCS.4975",
        ],
    },
    Codes {
        class: Class::Invalid,
        codes: &["DCS.4002", "DCS.4004", "DCS.4005", "DCS.4061", "DCS.4062", "DCS.4063", "DCS.4098", "DCS.4800"],
    },
    // 4001 and 5001: there is no such path, or no such method.
    Codes { class: Class::Misconfigured, codes: &["DCS.1004", "DCS.4001", "DCS.5001"] },
    Codes { class: Class::Unsupported, codes: &["DCS.4027", "DCS.4086", "DCS.4095"] },
    Codes { class: Class::Unauthenticated, codes: &["DCS.1001", "DCS.1002", "DCS.1003"] },
    Codes { class: Class::Forbidden, codes: &["DCS.2003", "DCS.2007", "DCS.3002", "DCS.3003"] },
    Codes { class: Class::Quota, codes: &["DCS.4035", "DCS.4036", "DCS.4039"] },
    // The vendor sends these with 500, but for 5101 (404). 5053 and 5081 miss something of the cloud's own, not the instance.
    Codes {
        class: Class::Unavailable,
        codes: &[
            "DCS.4069", "DCS.4101", "DCS.4842", "DCS.5000", "DCS.5006", "DCS.5010", "DCS.5017", "DCS.5020", "DCS.5024", "DCS.5031",
            "DCS.5032", "DCS.5037", "DCS.5039", "DCS.5040", "DCS.5041", "DCS.5042", "DCS.5043", "DCS.5044", "DCS.5045", "DCS.5053",
            "DCS.5054", "DCS.5070", "DCS.5071", "DCS.5077", "DCS.5078", "DCS.5079", "DCS.5081", "DCS.5082", "DCS.5083", "DCS.5085",
            "DCS.5090", "DCS.5091", "DCS.5092", "DCS.5094", "DCS.5095", "DCS.5101", "DCS.5104",
        ],
    },
    // Of instances and their nodes, network and parameters, backup policies, restores, orders, analyses and diagnoses. 4119 is the text of a failed
    // query with the description of a missing instance. 4031 is about a time, although the vendor's Terraform provider takes it for a missing backup.
    Codes {
        class: Class::AsUnknown,
        codes: &[
            "DCS.3053", "DCS.4006", "DCS.4007", "DCS.4008", "DCS.4009", "DCS.4010", "DCS.4011", "DCS.4012", "DCS.4013", "DCS.4014",
            "DCS.4016", "DCS.4018", "DCS.4019", "DCS.4020", "DCS.4021", "DCS.4022", "DCS.4023", "DCS.4025", "DCS.4028", "DCS.4030",
            "DCS.4031", "DCS.4033", "DCS.4037", "DCS.4038", "DCS.4042", "DCS.4045", "DCS.4046", "DCS.4047", "DCS.4048", "DCS.4050",
            "DCS.4051", "DCS.4052", "DCS.4053", "DCS.4054", "DCS.4060", "DCS.4064", "DCS.4065", "DCS.4066", "DCS.4067", "DCS.4068",
            "DCS.4070", "DCS.4072", "DCS.4073", "DCS.4074", "DCS.4075", "DCS.4076", "DCS.4080", "DCS.4087", "DCS.4094", "DCS.4099",
            "DCS.4100", "DCS.4102", "DCS.4103", "DCS.4105", "DCS.4106", "DCS.4119", "DCS.4133", "DCS.4200", "DCS.4201", "DCS.4202",
            "DCS.4253", "DCS.4300", "DCS.4818", "DCS.4819", "DCS.4820", "DCS.4821", "DCS.4822", "DCS.4838", "DCS.4839", "DCS.4840",
            "DCS.4841", "DCS.4843", "DCS.4844", "DCS.4845", "DCS.4846", "DCS.4847", "DCS.4848", "DCS.4849", "DCS.4850", "DCS.4855",
            "DCS.4875", "DCS.4879", "DCS.4911", "DCS.4918", "DCS.4919", "DCS.4922", "DCS.4927", "DCS.4930", "DCS.4931", "DCS.4933",
            "DCS.4935", "DCS.4936", "DCS.4937", "DCS.4939", "DCS.4941", "DCS.4942", "DCS.4957", "DCS.4998", "DCS.4999", "DCS.5050",
        ],
    },
];

/// The code as the table has it. Most codes have a numeric twin, from the older API: `111`, the HTTP status, and the last three digits of the other
/// spelling, whose first digit follows from the status. All 117 numeric codes of the vendor's table are such twins. Only 404 is irregular: the missing
/// instance is `DCS.3022`, and the two others start with 4. With 403, 404 and 405 no pair is taken for granted that the table does not have.
pub(super) fn own_spelling(code: &str) -> Cow<'_, str> {
    let Some((status, number)) = code.strip_prefix("111").and_then(|digits| digits.split_at_checked(3)) else { return Cow::Borrowed(code) };
    if number.len() != 3 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(code);
    }
    let thousand = match (status, number) {
        ("400", _) | ("404", "001" | "023") => '4',
        ("401", _) => '1',
        ("403", "002" | "003") | ("404", "022") => '3',
        ("405", "001") | ("500", _) => '5',
        _ => return Cow::Borrowed(code),
    };
    Cow::Owned(format!("DCS.{thousand}{number}"))
}
