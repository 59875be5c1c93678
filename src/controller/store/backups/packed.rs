//! Objects at rest: as JSON, compressed. Backups that are done are by far the most, and most of one resembles the next, so each is compressed beside the
//! first of its phase, and takes a tenth of what it takes as it is used.

use crate::api::{backup::DatabaseBackup, status::Phase};
use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use std::{collections::HashMap, sync::Arc};

/// An object that nothing happens to.
pub(super) struct Packed {
    bytes: Box<[u8]>,
    /// What it is compressed beside.
    sample: Arc<[u8]>,
}

/// The first object of each phase, as JSON.
#[derive(Default)]
pub(super) struct Samples(HashMap<Option<Phase>, Arc<[u8]>>);

impl Packed {
    /// Packs an object; absent if it cannot be written as JSON, which every stored object can.
    pub(super) fn new(object: &DatabaseBackup, samples: &mut Samples) -> Option<Self> {
        let json = serde_json::to_vec(object).ok()?;
        let phase = object.status.as_ref().and_then(|status| status.phase);
        let sample = samples.0.entry(phase).or_insert_with(|| json.as_slice().into()).clone();
        Some(Self { bytes: compress_prepend_size_with_dict(&json, &sample).into(), sample })
    }

    /// The object; absent never, but for a bug.
    pub(super) fn unpack(&self) -> Option<Arc<DatabaseBackup>> {
        let json = decompress_size_prepended_with_dict(&self.bytes, &self.sample);
        let object =
            json.map_err(|error| error.to_string()).and_then(|json| serde_json::from_slice(&json).map_err(|error| error.to_string()));
        object.inspect_err(|error| tracing::error!(error, "a bug: an object at rest cannot be read")).ok().map(Arc::new)
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::object::keep;
    use serde_json::json;

    fn object(nth: u64, phase: &str) -> DatabaseBackup {
        let (id, second) = (nth.wrapping_mul(0x9e37_79b9_7f4a_7c15), nth % 60);
        let condition = |type_: &str, status: &str| {
            json!({ "type": type_, "status": status, "reason": phase, "lastTransitionTime": format!("2026-11-22T04:05:{second:02}Z"),
                "observedGeneration": 1, "message": format!("TaurusDB holds backup {id:032x} of instance inst-b-{nth:05}") })
        };
        let mut object: DatabaseBackup = serde_json::from_value(json!({
            "apiVersion": "dbbackup.dev/v1alpha1", "kind": "DatabaseBackup",
            "metadata": {
                "name": format!("b-{nth:05}"), "namespace": "default", "uid": format!("{id:016x}-5e55-4a4e-b0f1-{nth:012}"), "generation": 1,
                "resourceVersion": format!("{}", 100_000 + nth), "creationTimestamp": format!("2026-11-22T04:00:{second:02}Z"),
            },
            "spec": {
                "source": { "engine": "TaurusDB", "instanceId": format!("inst-b-{nth:05}") },
                "accountRef": { "kind": "ClusterCloudAccount", "name": "cloud" },
            },
            "status": {
                "phase": phase, "backupId": format!("{id:032x}"), "backupName": format!("dbb-b-{nth:05}-{id:020x}"), "jobId": format!("job-{id:016x}"),
                "attempts": 1, "observedGeneration": 1, "requestTime": format!("2026-11-22T04:00:{second:02}.123456Z"), "size": "4Ki",
                "startTime": "2026-11-22T04:00:00Z", "completionTime": format!("2026-11-22T04:05:{second:02}Z"), "cloudStatus": "COMPLETED",
                "cloud": "OpenTelekomCloud", "region": "eu-de", "projectId": "0123456789abcdef0123456789abcdef", "createOutcome": "Accepted",
                "endpoint": "https://gaussdb-mysql.eu-de.otc.t-systems.com", "origin": "Created", "lastSyncTime": "2026-11-22T04:05:30Z",
                "conditions": [condition("Ready", "True"), condition("Reconciling", "False"), condition("Stalled", "False")],
            },
        }))
        .expect("an object");
        keep(&mut object.metadata);
        object
    }

    #[test]
    fn an_object_comes_out_as_it_was_whatever_it_was_packed_beside() {
        let mut samples = Samples::default();
        for object in (0..50).flat_map(|nth| ["Completed", "Failed", "Missing"].map(|phase| object(nth, phase))) {
            let packed = Packed::new(&object, &mut samples).expect("packed");
            let unpacked = packed.unpack().expect("unpacked");
            assert_eq!(serde_json::to_value(unpacked.as_ref()).expect("JSON"), serde_json::to_value(&object).expect("JSON"));
        }
        assert_eq!(samples.0.len(), 3);
    }

    #[test]
    fn an_object_beside_its_likes_takes_a_few_hundred_bytes() {
        let mut samples = Samples::default();
        let whole = serde_json::to_vec(&object(0, "Completed")).expect("JSON").len();
        let most = (0..100).filter_map(|nth| Packed::new(&object(nth, "Completed"), &mut samples)).map(|packed| packed.len()).max();
        assert!(most.is_some_and(|most| most < 500 && most * 4 < whole), "{most:?} of {whole}");
    }
}
