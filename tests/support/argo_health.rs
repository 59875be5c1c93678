//! Argo CD's health checks, run as it runs them: Lua 5.1 with no library but the basic one and `table`, and an end to it.

use mlua::{HookTriggers, Lua, LuaOptions, LuaSerdeExt, StdLib, Value, VmState, serde::SerializeOptions};
use serde::Deserialize;

/// Where the scripts are.
pub const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/argocd/resource_customizations/dbbackup.dev");

/// What a script says of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// `Healthy`, `Progressing`, `Degraded` or `Suspended`.
    pub status: String,
    /// One line.
    #[serde(default)]
    pub message: String,
}

/// The script of a kind.
pub fn script(kind: &str) -> String {
    let path = format!("{SCRIPTS}/{kind}/health.lua");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a script says of an object.
///
/// # Errors
/// It failed, took too long, or answered with something else than a health.
pub fn health(script: &str, object: &serde_json::Value) -> Result<Health, mlua::Error> {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default())?;
    for withheld in ["string", "math", "io", "os", "debug"] {
        assert_eq!(lua.globals().get::<Value>(withheld)?, Value::Nil, "Argo CD has no {withheld}");
    }
    lua.set_hook(HookTriggers::new().every_nth_instruction(1_000_000), |_, _| -> mlua::Result<VmState> {
        Err(mlua::Error::runtime("a million instructions"))
    })?;
    // As in Argo CD, null is nil.
    let options = SerializeOptions::new().serialize_none_to_null(false).serialize_unit_to_null(false).set_array_metatable(false);
    lua.globals().set("obj", lua.to_value_with(object, options)?)?;
    lua.from_value(lua.load(script).eval()?)
}
