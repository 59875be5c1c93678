//! The targets without a fuzzer: the corpus as it is, the corpus mutated, and inputs made from nothing. The same inputs every time, unless
//! `HOSTILE_SEED` and `HOSTILE_CASES` say otherwise.

use crate::targets::{self, DIVIDER, Target};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};
use serde_json::{Map, Value};
use std::{cell::Cell, collections::BTreeMap, env, fs, panic, path::PathBuf};

/// Inputs of each kind for each target; all of them take a few seconds on a slow machine.
const CASES: u32 = 300;

fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |file: fs::DirEntry| (file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).expect("a file"));
    files.flatten().map(read).collect()
}

fn number(variable: &str) -> Option<u32> {
    env::var(variable).ok()?.parse().ok()
}

/// Throws inputs at some targets; what fails is made as small as it gets, and shown.
fn throw(targets: &[Target], inputs: &impl Strategy<Value = Vec<u8>>) {
    let config = Config { cases: number("HOSTILE_CASES").unwrap_or(CASES), failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("HOSTILE_SEED").unwrap_or_default().to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let last = Cell::new("");
    let result = runner.run(inputs, |input| {
        for (name, run) in targets {
            last.set(name);
            run(&input);
        }
        Ok(())
    });
    match (result, last.get()) {
        (Ok(()), _) => {}
        (Err(TestError::Fail(reason, input)), name) => panic!(
            "{name}: {reason}\nThe same input comes again with the same HOSTILE_SEED and HOSTILE_CASES. To keep it, write it to \
             fuzz/corpus/{name}/<what-it-is>:\nprintf '%b' '{}'",
            input.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>()
        ),
        (Err(TestError::Abort(reason)), name) => panic!("{name}: {reason}"),
    }
}

#[test]
fn every_input_of_the_corpus_is_survived() {
    for (name, run) in targets::ALL {
        let inputs = corpus(name);
        assert!(inputs.len() >= 3, "fuzz/corpus/{name} has {} inputs", inputs.len());
        for (file, input) in inputs {
            assert!(panic::catch_unwind(|| run(&input)).is_ok(), "fuzz/corpus/{name}/{file}");
        }
    }
}

#[test]
fn every_target_has_a_fuzz_program() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/Cargo.toml")).expect("fuzz/Cargo.toml");
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no program {name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), targets::ALL.len());
}

/// One change of an input.
type Change = (u8, Index, Index, u8);

fn changed(mut input: Vec<u8>, changes: &[Change], words: &[Vec<u8>], other: &[u8]) -> Vec<u8> {
    for (kind, first, second, byte) in changes {
        let (one, two) = (first.index(input.len() + 1), second.index(input.len() + 1));
        let (from, to) = (one.min(two), one.max(two));
        match kind % 7 {
            0 => input.insert(from, *byte),
            1 => drop(input.drain(from..to.min(from + 16))),
            2 => drop(input.splice(from..from, words[second.index(words.len())].iter().copied())),
            3 => drop(input.splice(from..to.min(from + 16), words[first.index(words.len())].iter().copied())),
            4 => input.truncate(to),
            5 => input = [&input[..from], &input[from..to], &input[from..]].concat(),
            _ => input = [&input[..from], &other[second.index(other.len() + 1)..]].concat(),
        }
    }
    input
}

/// What often means something special.
fn words() -> Vec<Vec<u8>> {
    let words = [
        "\0",
        "\n",
        "\"",
        "\\u0000",
        "\\ud800",
        "\u{202e}",
        "\u{feff}",
        "ä",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "{}",
        "[]",
        "\"\"",
        "-1",
        "0",
        "1e400",
        "18446744073709551616",
        "9223372036854775807",
        "-0.0",
        "NaN",
        "9999-12-31T23:59:59Z",
        "-009999-01-02T02:00:00Z",
        "0001-01-01T00:00:00Z",
        "2020-07-07T01:17:05+0800",
        "COMPLETED",
        "FAILED",
        "succeed",
        "deleted",
        DIVIDER,
    ];
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn mutated(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let (inputs, words): (Vec<Vec<u8>>, _) = (corpus(target).into_values().collect(), words());
    let change = (any::<u8>(), any::<Index>(), any::<Index>(), any::<u8>());
    (any::<Index>(), any::<Index>(), vec(change, 0..6)).prop_map(move |(first, second, changes)| {
        let (input, other) = (&inputs[first.index(inputs.len())], &inputs[second.index(inputs.len())]);
        changed(input.clone(), &changes, &words, other)
    })
}

/// Names of fields that some parser reads.
const NAMES: &[&str] = &[
    "backup_id",
    "job_id",
    "backup",
    "id",
    "backups",
    "total_count",
    "backup_record_response",
    "total_num",
    "status",
    "begin_time",
    "end_time",
    "size",
    "name",
    "remark",
    "error_code",
    "error_msg",
    "error",
    "code",
    "message",
    "request_id",
    "token",
    "expires_at",
    "project",
    "projects",
    "metadata",
    "spec",
    "source",
    "engine",
    "instanceId",
    "data",
    "endpoints",
];

fn json() -> impl Strategy<Value = Vec<u8>> {
    let text =
        prop_oneof![any::<String>(), "[A-Za-z0-9.-]{0,40}", prop::sample::select(words()).prop_map(|w| String::from_utf8_lossy(&w).into())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(4, 32, 6, |inner| {
        let fields = vec((prop::sample::select(NAMES), inner.clone()), 0..6);
        let object = fields.prop_map(|fields| Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>()));
        prop_oneof![object, vec(inner, 0..4).prop_map(Value::from)]
    });
    tree.prop_map(|value| value.to_string().into_bytes())
}

#[test]
fn every_target_survives_its_corpus_mutated() {
    for target in targets::ALL {
        throw(&[target], &mutated(target.0));
    }
}

#[test]
fn every_target_survives_any_bytes() {
    throw(&targets::ALL, &vec(any::<u8>(), 0..300));
}

#[test]
fn every_target_survives_any_json() {
    throw(&targets::ALL, &json());
}
