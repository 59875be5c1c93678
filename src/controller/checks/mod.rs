//! What the operator finds out about its surroundings.
//!
//! | check | what it finds out |
//! |---|---|
//! | [`definitions`] | whether the API server serves this version's definitions |
//! | [`permissions`] | what the operator does with the Kubernetes API, and whether it may |
//! | [`readiness`] | whether the operator can do its work now |
//! | [`revisions`] | whether the API server's storage was put back |

pub mod definitions;
pub mod permissions;
pub mod readiness;
pub mod revisions;
