//! The top of the file: the stack's name and its services.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_core::{Plan, ServiceName};

use super::reload::{self, RELOAD};
use super::service::{self, Draft, SERVICE};
use crate::context::{Context, Field, Subject};
use crate::effective::Writer;
use crate::graph;
use crate::keys::{Form, Key, MapKey, Section};
use crate::reader::Reader;
use crate::source::Span;
use crate::templates::Applied;
use crate::value::{Entry, Node, Value};
use crate::{Asked, Effective, System, profiles, templates};

pub(crate) static STACK: Section = Section {
    id: "stack",
    title: "the file",
    about: "The top of the file.",
    one_of: &[],
    keys: &[
        Key::new(
            "name",
            Form::Name,
            "\"shop\"",
            "The stack's name: what `mainstay -s NAME` means, and where its state and logs are kept.",
        )
        .default("the name of the directory that the file is in")
        .also(&["stack", "project", "id"]),
        Key::new(
            "metrics",
            super::metrics::FORM,
            "{ listen = \"9100\" }",
            "How others see what is measured; see metrics.md.",
        )
        .also(&["prometheus", "telemetry"]),
        Key::new(
            "opentelemetry",
            super::opentelemetry::FORM,
            "\"http://127.0.0.1:4318\"",
            "Where metrics and traces are sent over OTLP.",
        )
        .default("nowhere")
        .also(&["otlp", "otel", "tracing"]),
        Key::new(
            "reload",
            Form::Section(&RELOAD),
            "{ at_once = 3, timeout = \"2m\" }",
            "How a changed configuration is applied while the stack is up.",
        )
        .also(&["update", "rollout"]),
        Key::new(
            "secrets",
            super::secrets::FORM,
            "{ db_password = { file = \"secrets/db\" } }",
            "Where the values of secrets are read from, which `${secret:NAME}` in `environment` and in `config.values` \
             means, and `{{ secret.NAME }}` in a template; see secrets.md. One that is not here is in the stack's own \
             store (`mainstay secret set NAME`).",
        )
        .also(&["secret", "credentials"]),
        Key::new(
            "template",
            Form::Map(MapKey::Name, &Form::Like(&SERVICE)),
            "{ base = { restart = \"on-failure\" } }",
            "What services share, each a table `[template.NAME]` with keys of a service, taken with `extends`.",
        )
        .also(&["templates", "defaults"]),
        Key::new(
            "unset",
            Form::List(&Form::Text),
            "[\"service.api.environment.PORT\"]",
            "Keys that this file takes away of the ones below it.",
        )
        .default("nothing"),
        Key::new(
            "service",
            Form::Map(MapKey::Name, &Form::Section(&SERVICE)),
            "{ db = { command = [\"etcd\"] } }",
            "The services, each a table `[service.NAME]`.",
        )
        .default("none: there has to be one in one of the files")
        .also(&["processes", "process", "program", "apps", "app", "unit"]),
    ],
};

const SAMPLE: &str = "write one like\n[service.api]\ncommand = [\"./api\", \"--port\", \"8080\"]";

/// Reads the whole file. The plan counts only if no error was found.
pub(crate) fn read(cx: &mut Context<'_>, root: &Node, asked: &Asked) -> Option<(Plan, Effective)> {
    if root.is_broken() {
        return None;
    }
    let field = Field { key: "the file", node: root };
    let top = Span { end: root.span.start, ..root.span };
    let mut reader = Reader::open(cx, field, &STACK)?;
    let named = reader.get("name");
    let stack = name(cx, named, top);
    let measured = reader.get("metrics");
    let metrics = measured.map(|field| super::metrics::read(cx, field)).unwrap_or_default();
    let sent = reader.get("opentelemetry");
    let opentelemetry = sent.map(|field| super::opentelemetry::read(cx, field)).unwrap_or_default();
    let reloaded = reader.get("reload");
    let sources = reader.get("secrets");
    let (services, templates) = (reader.get("service"), reader.get("template"));
    // Has had its effect when the files were merged.
    reader.get("unset");
    reader.finish();

    let reload = reloaded.map(|field| reload::read(cx, field)).unwrap_or_default();
    let secrets = sources.map(|field| super::secrets::read(cx, field)).unwrap_or_default();
    let mut drafts = BTreeMap::new();
    let mut broken = BTreeSet::new();
    let applied = services.map(|services| templates::apply(cx, services.node, templates));
    match services.zip(applied.as_ref()) {
        Some((services, Applied { services: node, unused })) => {
            read_unused(cx, unused);
            read_services(cx, Field { node, ..services }, &mut drafts, &mut broken);
        }
        None if root_is_guessed(root) => {}
        None => {
            cx.error(top, "the file has no service").hint(SAMPLE);
        }
    }
    let inactive = profiles::leave_out(cx, &mut drafts, &asked.profiles);
    graph::check(cx, &mut drafts, &broken, &inactive);
    super::secrets::check_names(cx, &secrets);
    let stack = stack?;
    let mut values = Vec::new();
    let applied = applied.map(|applied| applied.services.value);
    if let (true, Some(Value::Table(entries))) = (asked.effective, &applied) {
        let mut writer = Writer::new(cx);
        writer.name(&stack, named.map(|field| field.node));
        if let Some(field) = measured {
            writer.table("metrics", field.node, &super::metrics::FORM);
        }
        if let Some(field) = sources {
            writer.table("secrets", field.node, &super::secrets::FORM);
        }
        if let Some(field) = sent {
            writer.table("opentelemetry", field.node, &super::opentelemetry::FORM);
        }
        if let Some(field) = reloaded {
            writer.top("reload", field.node, &RELOAD);
        }
        for (name, draft) in &drafts {
            if let Some(entry) = entries.iter().find(|entry| entry.key == draft.entry) {
                writer.service(name, draft, &entry.value);
            }
        }
        values = writer.values;
    }
    let services = drafts.into_iter().map(|(name, draft)| (name, draft.plan)).collect();
    Some((Plan { stack, services, metrics, opentelemetry, reload, secrets }, Effective { values }))
}

/// Checks templates that no service extends; whoever extends one later need not look for old mistakes in it.
fn read_unused(cx: &mut Context<'_>, templates: &[Entry]) {
    cx.subject = Subject::Template;
    for entry in templates {
        let counted =
            matches!(&entry.value.value, Value::Table(keys) if keys.iter().any(|e| e.key == "instances"));
        cx.reading(&entry.key, counted.then_some(1));
        service::read(cx, Field { key: &entry.key, node: &entry.value }, entry.key_span);
    }
    cx.subject = Subject::Service;
    cx.instance = None;
}

/// Whether something at the top was meant to be the services, and is told of already.
fn root_is_guessed(root: &Node) -> bool {
    let Value::Table(entries) = &root.value else { return false };
    entries.iter().any(|entry| STACK.key(&entry.key).is_none())
}

fn name(cx: &mut Context<'_>, field: Option<Field<'_>>, top: Span) -> Option<String> {
    let Some(field) = field else {
        let base = cx.around.base_dir;
        let directory = base.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if check_name(cx.around.system, &directory).is_err() {
            cx.error(top, "the stack has no name, and the directory's name cannot serve as one")
                .hint("write name = \"shop\" at the top of the file");
            return None;
        }
        return Some(directory);
    };
    let text = cx.string(field, "a name")?;
    match check_name(cx.around.system, &text.value) {
        Ok(name) => Some(name.into()),
        Err(why) => {
            cx.error(field.span(), format!("the name `{}` {why}", text.value))
                .hint("write a name like shop, shop-2 or shop.test");
            None
        }
    }
}

fn read_services(
    cx: &mut Context<'_>,
    field: Field<'_>,
    drafts: &mut BTreeMap<ServiceName, Draft>,
    broken: &mut BTreeSet<String>,
) {
    let Value::Table(entries) = &field.node.value else {
        cx.wrong_type(field, "a table for each service").hint(SAMPLE);
        return;
    };
    if entries.is_empty() {
        cx.error(field.span(), "the file has no service").hint(SAMPLE);
    }
    // Files named after services would be the same file on Windows.
    let mut lower: BTreeMap<String, Span> = BTreeMap::new();
    let mut instances: Vec<(&Entry, u32, Draft)> = Vec::new();
    for entry in entries {
        if !matches!(entry.value.value, Value::Table(_)) && SERVICE.key(&entry.key).is_some() {
            cx.error(entry.key_span, format!("`{}` stands outside of a service", entry.key))
                .hint("give the service a name: [service.api] instead of [service]");
            broken.insert(entry.key.clone());
            continue;
        }
        let numbered =
            matches!(&entry.value.value, Value::Table(keys) if keys.iter().any(|e| e.key == "instances"));
        let field = Field { key: &entry.key, node: &entry.value };
        let errors = cx.errors();
        cx.reading(&entry.key, numbered.then_some(1));
        let mut draft = service::read(cx, field, entry.key_span);
        draft.entry.clone_from(&entry.key);
        let sound = cx.errors() == errors;
        let count = draft.instances;
        let name = match check_name(cx.around.system, &entry.key) {
            Ok(name) => name,
            Err(why) => {
                cx.error(entry.key_span, format!("the name `{}` {why}", entry.key))
                    .hint("write a name like api, api-2 or shop.api");
                broken.insert(entry.key.clone());
                continue;
            }
        };
        if let Some(first) = lower.insert(entry.key.to_lowercase(), entry.key_span) {
            cx.error(entry.key_span, format!("`{name}` differs from another service only in its case"))
                .related(first, "the other one")
                .hint("their log files would be one file on Windows");
        }
        if !numbered {
            drafts.insert(name, draft);
            continue;
        }
        // One wrong instance is enough to tell of: the others are read only if it is right.
        let count = count.filter(|_| sound).unwrap_or(1);
        broken.extend((!sound).then(|| entry.key.clone()));
        if drafts.len() + instances.len() + count as usize > MAX_SERVICES {
            cx.error(entry.key_span, "too many services")
                .hint(format!("at most {MAX_SERVICES} are accepted"));
            broken.insert(entry.key.clone());
            continue;
        }
        for number in 1..=count {
            cx.reading(&entry.key, Some(number));
            if number > 1 {
                draft = service::read(cx, field, entry.key_span);
                draft.entry.clone_from(&entry.key);
            }
            draft.plan.instance_of = Some(name.clone());
            instances.push((entry, number, draft));
            draft = Draft::empty(entry.key_span);
        }
        cx.instance = None;
    }
    for (entry, number, draft) in instances {
        add_instance(cx, entry, number, draft, drafts, &mut lower);
    }
}

/// So many services come of instances, at the most.
const MAX_SERVICES: usize = 10_000;

/// Adds `NAME-1`, `NAME-2`, …
fn add_instance(
    cx: &mut Context<'_>,
    entry: &Entry,
    number: u32,
    draft: Draft,
    drafts: &mut BTreeMap<ServiceName, Draft>,
    lower: &mut BTreeMap<String, Span>,
) {
    let text = format!("{}-{number}", entry.key);
    match check_name(cx.around.system, &text) {
        Ok(name) => {
            if let Some(span) = lower.insert(text.to_lowercase(), entry.key_span) {
                cx.error(entry.key_span, format!("its instance `{text}` has the name of another service"))
                    .related(span, "the other one")
                    .hint("give one of them another name");
                return;
            }
            drafts.insert(name, draft);
        }
        Err(why) => {
            cx.error(entry.key_span, format!("the name `{text}` of an instance {why}"))
                .hint("give the service a shorter name");
        }
    }
}

/// The rules of [`ServiceName`], and those of file names on Windows. The error fits after "the name …".
fn check_name(system: System, name: &str) -> Result<ServiceName, String> {
    let good = ServiceName::new(name).map_err(|why| why.to_string())?;
    if [".probe-startup", ".probe-ready", ".probe-live"].iter().any(|kind| name.ends_with(kind)) {
        return Err("is one that Mainstay uses itself".to_owned());
    }
    if system == System::Windows {
        let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
        let numbered = (stem.starts_with("COM") || stem.starts_with("LPT")) && stem.len() == 4;
        let digit = stem.ends_with(|c: char| c.is_ascii_digit());
        if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || (numbered && digit) {
            return Err("is a device on Windows, and cannot be the name of a file".to_owned());
        }
        if name.ends_with('.') {
            return Err("ends with a dot, which Windows does not allow in the name of a file".to_owned());
        }
    }
    Ok(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_windows_keeps_for_itself() {
        for name in ["con", "NUL", "com1", "aux.api", "api."] {
            assert!(check_name(System::Windows, name).is_err(), "{name}");
            assert!(check_name(System::Linux, name).is_ok(), "{name}");
        }
        assert!(check_name(System::Windows, "console").is_ok());
        assert!(check_name(System::Linux, "api.probe-ready").is_err());
    }
}
