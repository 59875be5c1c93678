//! `docs/reference/flags.md`: every flag of every subcommand, from the program's own description.

use crate::generated::{code, is_current, row};
use clap::{Arg, CommandFactory};
use database_backup_operator::process::config::Cli;

#[test]
fn the_reference_of_the_flags_is_current() {
    let program = Cli::command();
    let mut described: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut sections = Vec::new();
    for command in program.get_subcommands() {
        let arguments: Vec<&Arg> = command.get_arguments().collect();
        let ids: Vec<&str> = arguments.iter().map(|argument| argument.get_id().as_str()).collect();
        let said = if arguments.is_empty() {
            "It has no flags.\n".to_owned()
        } else if let Some((same, _)) = described.iter().find(|(_, others)| *others == ids) {
            format!("It takes the flags of [`{same}`](#{}-{same}).\n", program.get_name())
        } else {
            described.push((command.get_name(), ids));
            let rows: String = arguments.iter().map(|argument| flag(argument)).collect();
            row(&["flag", "variable", "default", "what it says"]) + "|---|---|---|---|\n" + &rows
        };
        let about = sentence(&command.get_about().map(ToString::to_string).unwrap_or_default());
        sections.push(format!("## {} {}\n\n{about}\n\n{said}", program.get_name(), command.get_name()));
    }
    is_current("docs/reference/flags.md", "flags", &sections.join("\n"));
}

fn flag(argument: &Arg) -> String {
    let values: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes_values = argument.get_action().takes_values();
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => values.join(" "),
    };
    // Named like the flag itself unless somebody chose a name.
    let is_named = values.iter().any(|value| !value.eq_ignore_ascii_case(argument.get_id().as_str()));
    let given = if takes_values && is_named && !argument.is_positional() { format!("{name} {}", values.join(" ")) } else { name };
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = if argument.is_hide_default_value_set() || !takes_values { String::new() } else { defaults.join(",") };
    let choices: Vec<String> = argument.get_possible_values().iter().filter(|_| takes_values).map(|value| code(value.get_name())).collect();
    let help = sentence(&argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string).unwrap_or_default());
    let chosen = if choices.is_empty() { help } else { format!("{help} One of {}.", choices.join(", ")) };
    let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    row(&[&code(given.trim()), &code(&variable), &code(&default), &chosen])
}

/// clap takes the full stop at the end of a doc comment away.
fn sentence(text: &str) -> String {
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}
