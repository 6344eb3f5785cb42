//! `mainstay get`

use mainstay_config::EffectiveValue;
use toml_edit::Value;

use crate::args::Select;
use crate::edit_toml;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::names;
use crate::output::Output;
use crate::own_file::{OwnFile, below, service};

/// Show settings of a service or of a stack, defaults included
///
/// One that is asked for alone is printed bare. Values of variables are printed as they are, secrets too.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// Say behind each value where it came from
    #[arg(long)]
    origin: bool,

    /// The service, or the stack
    #[arg(value_name = "SERVICE")]
    name: String,

    /// Only this, and what is below it: `stop.timeout`, `limits` [default: all]
    #[arg(value_name = "KEY")]
    key: Option<String>,
}

/// Shows it.
///
/// # Errors
/// There is no such setting; the configuration is wrong by now.
pub fn run(args: &Get, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&Select::default(), std::slice::from_ref(&args.name))?;
    let loaded = OwnFile::of(&meant.place)?.load()?;
    let service = service(&meant, &loaded)?;
    let service = service.as_deref().map(|name| first_of(name, &loaded.plan));
    let mut values = loaded.effective.values;
    if let Some(service) = &service {
        values.retain(|value| value.service.as_ref() == Some(service));
    }
    if let Some(key) = &args.key {
        let mut wanted = edit_toml::keys(key).unwrap_or_default();
        if service.is_none() {
            wanted.splice(0..0, below(None, key, &loaded.plan).into_iter().map(str::to_owned));
        }
        values.retain(|value| full_key(value, service.is_some()).starts_with(&wanted));
        if values.is_empty() {
            return Err(Failure::not_there(format!("{} has no setting `{key}`", args.name))
                .hint(format!("`mainstay get {}` shows all", args.name)));
        }
        if let [only] = values.as_slice()
            && full_key(only, service.is_some()) == wanted
            && !output.json
            && !args.origin
        {
            output.line(&bare(&only.value))?;
            return Ok(ExitStatus::Done);
        }
    }
    if output.json {
        let values: Vec<serde_json::Value> = values
            .iter()
            .map(|value| {
                serde_json::json!({
                    "service": value.service,
                    "key": value.key,
                    "value": value.value.parse().ok().as_ref().map(json),
                    "origin": value.origin,
                })
            })
            .collect();
        output.json(&serde_json::json!({ "stack": meant.place.name, "values": values }))?;
        return Ok(ExitStatus::Done);
    }
    for value in &values {
        let line = format!("{} = {}", full_key(value, service.is_some()).join("."), value.value);
        output.line(&if args.origin { format!("{line:48}  # {}", value.origin) } else { line })?;
    }
    Ok(ExitStatus::Done)
}

/// Of instances the first: they have their settings in common.
fn first_of(name: &str, plan: &mainstay_core::Plan) -> String {
    let instance = plan
        .services
        .iter()
        .find(|(_, plan)| plan.instance_of.as_ref().is_some_and(|of| of.as_str() == name));
    instance.map_or_else(|| name.to_owned(), |(first, _)| first.to_string())
}

/// The parts of a value's key, from the service's table or from the file's top.
fn full_key(value: &EffectiveValue, in_service: bool) -> Vec<String> {
    let mut keys = Vec::new();
    if let (false, Some(service)) = (in_service, &value.service) {
        keys.extend(["service".to_owned(), service.clone()]);
    }
    keys.extend(edit_toml::keys(&value.key).unwrap_or_else(|| vec![value.key.clone()]));
    keys
}

/// A string without its quotes, anything else as TOML has it.
fn bare(value: &str) -> String {
    match value.parse::<Value>() {
        Ok(Value::String(text)) => text.into_value(),
        _ => value.to_owned(),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => text.value().clone().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(truth) => (*truth.value()).into(),
        Value::Datetime(time) => time.value().to_string().into(),
        Value::Array(list) => list.iter().map(json).collect(),
        Value::InlineTable(table) => table.iter().map(|(key, value)| (key.to_owned(), json(value))).collect(),
    }
}
