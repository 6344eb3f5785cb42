//! `config` of a service: the files that its program reads, rendered from templates, and what it is told when they
//! change.

mod environment;
mod files;
mod on_change;
mod values;

use std::collections::BTreeMap;

use mainstay_core::{ProgramConfig, SecretText};
use minijinja::value::Value as Rendered;

pub(crate) use self::files::FILE;
pub(crate) use self::on_change::ON_CHANGE;
use super::{duration, environment as variables};
use crate::context::{Context, Field};
use crate::expand;
use crate::keys::{Form, Key, MapKey, Section};
use crate::reader::Reader;
use crate::rendering::Known;

pub(crate) const FORM: Form = Form::Section(&CONFIG);

pub(crate) static CONFIG: Section = Section {
    id: "program_config",
    title: "`config`",
    about: "Files that the program reads: rendered from templates, checked, put in their places before its process is \
            made and when they change, while it runs. docs/program-configuration.md has more.",
    one_of: &[],
    keys: &[
        Key::new(
            "files",
            Form::List(&Form::Section(&FILE)),
            "[{ path = \"api.json\", text = '{\"limit\": 10}' }]",
            "The files.",
        )
        .also(&["file", "templates"]),
        Key::new(
            "values",
            Form::Map(MapKey::Variable, &Form::Free),
            "{ limit = 10, hosts = [\"a\", \"b\"] }",
            "What templates know as `values`: whatever a TOML table can hold. `${…}` in its strings is replaced. \
             `${secret:NAME}` stays a reference, whose value is read when the file is written (secrets.md).",
        )
        .also(&["vars", "variables", "data", "context"]),
        Key::new(
            "environment",
            variables::FORM,
            "{ GREETING = \"hello from {{ service }}\" }",
            "Variables whose values are templates, over `environment`.",
        )
        .also(&["env"]),
        Key::new(
            "on_change",
            Form::Any(&[Form::Choice(&["restart", "nothing"]), Form::Section(&ON_CHANGE)]),
            "{ signal = \"SIGHUP\" }",
            "What follows when the files change while it runs: a restart, nothing, or the program is told, and has to be \
             healthy within `reload.timeout` after that; else the old files come back.",
        )
        .default("`\"restart\"`")
        .also(&["reload", "notify", "on_reload"]),
        Key::new(
            "timeout",
            Form::Duration,
            "\"10s\"",
            "The longest that a `check` takes, and that telling the program takes.",
        )
        .default("`\"30s\"`"),
    ],
};

/// What of a service its files are made with.
pub(crate) struct Of<'s> {
    pub name: String,
    pub user: Option<&'s str>,
    pub working_dir: Option<&'s str>,
    pub environment: &'s mut BTreeMap<String, String>,
    pub secret_environment: &'s mut BTreeMap<String, SecretText>,
}

/// Reads a service's files and its templated variables; what is wrong is left out.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>, mut of: Of<'_>) -> ProgramConfig {
    let mut config = ProgramConfig::default();
    let Some(mut reader) = Reader::open(cx, field, &CONFIG) else { return config };
    let values = reader.get("values").and_then(|values| values::read(cx, values));
    let mut known = Known {
        values: values.unwrap_or_else(|| Rendered::from(BTreeMap::<String, Rendered>::new())),
        env: cx.visible().iter().map(|(name, value)| (name.clone(), expand::secret_text(value))).collect(),
        service: of.name.clone(),
        instance: cx.instance,
    };
    if let Some(variables) = reader.get("environment") {
        environment::read(cx, variables, &known, &mut of);
        known.env.extend(of.environment.iter().map(|(name, value)| (name.clone(), value.as_str().into())));
        known.env.extend(of.secret_environment.clone());
    }
    if let Some(change) = reader.get("on_change") {
        config.on_change = on_change::read(cx, change).unwrap_or_default();
    }
    if let Some(timeout) = reader.get("timeout") {
        config.timeout = cx.duration(timeout, duration::SHORTEST..=duration::MAX).unwrap_or(config.timeout);
    }
    if let Some(files) = reader.get("files") {
        files::read(cx, files, &known, &of, &mut config.files);
    }
    reader.finish();
    config
}
