//! The text that is stored with a backup in the cloud when its object has none. It is for people: a backup is found again by its name alone.

use std::{fmt, str::FromStr};

/// Longest text: what DCS's remark has room for behind the mark, and what an object's own description may have.
const MAX_CHARS: usize = 100;
/// Longest name of a cluster, so that most objects have room beside it.
const CLUSTER_CHARS: usize = 40;
/// What the services refuse in a description.
const REFUSED: &str = "><!\"&'=";

/// What a cluster is called; empty where nobody said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterName(String);

impl FromStr for ClusterName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim();
        let is_printable = |c: char| c == ' ' || c.is_ascii_graphic() && !REFUSED.contains(c);
        if name.len() > CLUSTER_CHARS || !name.chars().all(is_printable) {
            return Err(format!(
                "it is stored with each backup, which takes at most {CLUSTER_CHARS} printable ASCII characters here, none of > ! < \" & ' ="
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which object it was, and in which cluster. An object's name may hold 253 characters. The cluster is named where there is room for all of it: a part
/// of one name may be another's, and the object must not lose any of its own to it.
pub fn default_description(cluster: &ClusterName, namespace: &str, object_name: &str) -> String {
    let described = format!("DatabaseBackup {namespace}/{object_name}");
    let with_cluster = format!("{described} in {cluster}");
    if !cluster.0.is_empty() && with_cluster.len() <= MAX_CHARS {
        return with_cluster;
    }
    described.chars().take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(cluster: &str, namespace: &str, name: &str) -> String {
        default_description(&cluster.parse().unwrap(), namespace, name)
    }

    #[test]
    fn the_object_is_named_and_its_cluster_where_somebody_said_how_it_is_called() {
        assert_eq!(described("", "shop", "orders"), "DatabaseBackup shop/orders");
        assert_eq!(described("prod-eu (CCE)", "shop", "orders"), "DatabaseBackup shop/orders in prod-eu (CCE)");
    }

    #[test]
    fn a_cluster_takes_no_room_from_its_object_and_is_named_whole_or_not_at_all() {
        let cluster = "c".repeat(CLUSTER_CHARS);
        for length in 1..=253 {
            let name = "o".repeat(length);
            let (alone, text) = (described("", "shop", &name), described(&cluster, "shop", &name));
            assert!(text.starts_with(&alone), "{text}");
            assert!(text == alone || text == format!("{alone} in {cluster}"), "{text}");
            assert_eq!(text == alone, alone.len() + " in ".len() + CLUSTER_CHARS > MAX_CHARS, "{text}");
        }
    }

    #[test]
    fn it_fits_into_a_remark_behind_the_mark() {
        for cluster in ["", &"c".repeat(CLUSTER_CHARS)] {
            assert!(described(cluster, &"n".repeat(63), &"o".repeat(253)).len() <= MAX_CHARS);
            assert!(described(cluster, "n", "o").len() <= MAX_CHARS);
        }
    }

    #[test]
    fn a_name_that_the_cloud_would_refuse_is_refused_at_the_start() {
        for wrong in ["a>b", "a!b", "a<b", "a\"b", "a&b", "a'b", "a=b", "täglich", "a\nb", "a\tb", &"c".repeat(CLUSTER_CHARS + 1)] {
            let error = wrong.parse::<ClusterName>().expect_err(wrong);
            assert!(error.contains("at most 40 printable ASCII characters") && error.lines().count() == 1, "{error}");
        }
        for fine in ["", "prod", "Prod EU 1", "a/b:c_d.e", &"c".repeat(CLUSTER_CHARS)] {
            assert_eq!(fine.parse::<ClusterName>().unwrap().to_string(), fine);
        }
        assert_eq!(" prod ".parse::<ClusterName>(), "prod".parse());
    }
}
