//! What is said in other words. Another version of this program may word a message otherwise; where nothing else has changed, that is worth no write of a status.
//! Else an upgrade would write every object there is.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What a condition's message says beyond its reason and the rest of the status; absent where that is nothing.
pub type Fact = for<'a> fn(&'a Condition) -> Option<&'a str>;

/// Whether two lists of conditions say the same, be it in other words.
pub fn says_the_same(stored: &[Condition], next: &[Condition], fact: Fact) -> bool {
    let is_the_same = |(stored, next): (&Condition, &Condition)| {
        fact(stored) == fact(next) && *next == Condition { message: next.message.clone(), ..stored.clone() }
    };
    stored.len() == next.len() && stored.iter().zip(next).all(is_the_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn condition(reason: &str, message: &str) -> Condition {
        Condition {
            type_: "Ready".into(),
            status: "True".into(),
            reason: reason.into(),
            message: message.into(),
            observed_generation: Some(1),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn other_words_are_no_news_and_everything_else_is() {
        let stored = [condition("Done", "it is done, so far")];
        let fact: Fact = |condition| condition.message.split_once(", ").map(|(_, fact)| fact);
        let same = |next: &[Condition]| says_the_same(&stored, next, fact);
        let first = || stored[0].clone();
        assert!(same(&stored) && same(&[condition("Done", "it is finished, so far")]));
        assert!(!same(&[condition("Done", "it is done, and well")]) && !same(&[condition("Done", "it is done")]));
        assert!(!same(&[condition("Finished", "it is done, so far")]));
        assert!(!same(&[Condition { status: "False".into(), ..first() }]));
        assert!(!same(&[Condition { type_: "Stalled".into(), ..first() }]));
        assert!(!same(&[Condition { observed_generation: Some(2), ..first() }]));
        assert!(!same(&[Condition { last_transition_time: Time(jiff::Timestamp::MAX), ..first() }]));
        assert!(!same(&[]) && !same(&[first(), first()]));
    }
}
